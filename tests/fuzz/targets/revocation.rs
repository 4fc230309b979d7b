//! Any bytes as an entry of the revocations: refused in a few words, or read as something that is written as one line and
//! read again as the same.

#![no_main]

use claimgate::revocation::RevocationEntry;
use claimgate::revocation::entry::MAX_LINE_BYTES;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    match RevocationEntry::parse(line) {
        Ok(entry) => {
            let text = entry.to_json();
            assert!(
                text.len() <= MAX_LINE_BYTES && text.bytes().all(|b| (b' '..=b'~').contains(&b))
            );
            let again = RevocationEntry::parse(text.as_bytes()).expect("what is written is read");
            assert_eq!(again, entry);
            assert_eq!(again.to_json(), text);
        }
        Err(error) => {
            let shown = error.to_string();
            assert!(
                shown.len() < 500 && shown.bytes().all(|b| (b' '..=b'~').contains(&b)),
                "{shown}"
            );
        }
    }
});
