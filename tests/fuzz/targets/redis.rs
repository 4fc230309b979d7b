//! Any bytes as what a Redis answers, through the library that parses them to the entries that are made of them: what
//! has another form is an error in a few words and never an empty list, and what is read is no more than what came.

#![no_main]

// Nobody else is shown them: they are the module's own.
#[allow(dead_code, reason = "the service uses all of it")]
#[path = "../../../src/revocation/redis/reply.rs"]
mod reply;
#[allow(dead_code, reason = "the service uses all of it")]
#[path = "../../../src/revocation/redis/schema.rs"]
mod schema;

use claimgate::revocation::RevocationEntry;
// As `reply` names it.
use claimgate::util;
use libfuzzer_sys::fuzz_target;
use redis::Value;

use self::reply::Odd;
use self::schema::{Change, StreamId};

fuzz_target!(|answer: &[u8]| {
    let Ok(value) = redis::parse_redis_value(answer) else { return };
    let most = answer.len();
    for changes in [reply::changes(value.clone()), reply::entries_of(value.clone())] {
        let Some(changes) = hold(changes) else { continue };
        assert!(changes.len() <= most);
        if changes.is_empty() {
            assert!(matches!(&value, Value::Nil | Value::Array(_)), "nothing, out of something");
        }
        for (id, change) in changes {
            assert_eq!(StreamId::parse(id.to_string().as_bytes()), Some(id));
            if let Change::Entry(line) = change {
                hold_entry(&line);
            }
        }
    }
    if let Some((_cursor, keys)) = hold(reply::scanned(value.clone())) {
        assert!(keys.iter().map(Vec::len).sum::<usize>() <= most);
    }
    if let Some(Some(line)) = hold(reply::text(value.clone())) {
        hold_entry(&line);
    }
    if let Some(texts) = hold(reply::texts(value.clone())) {
        texts.iter().for_each(|line| hold_entry(line));
    }
    hold(reply::stream_info(value.clone()));
    hold(reply::number(&value));
    hold(reply::accepted(&value));
    hold(reply::was_set(&value));
});

fn hold<T>(outcome: Result<T, Odd>) -> Option<T> {
    match outcome {
        Ok(value) => Some(value),
        Err(Odd::Form) => None,
        Err(Odd::Refused(words)) => {
            // 200 characters, each as `\u{10ffff}` at most.
            assert!(words.len() <= 2000, "{}", words.len());
            assert!(words.bytes().all(|b| (b' '..=b'~').contains(&b)), "{words}");
            None
        }
    }
}

fn hold_entry(line: &[u8]) {
    match RevocationEntry::parse(line) {
        Ok(entry) => {
            let again = RevocationEntry::parse(entry.to_json().as_bytes());
            assert_eq!(again.expect("what is written is read"), entry);
        }
        Err(error) => assert!(error.to_string().len() < 500),
    }
}
