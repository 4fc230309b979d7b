//! What a server answers → what it has to be. Pure. Every form that a command never answers in is an error of its own:
//! nothing is guessed, nothing is converted.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library's answers may get more forms; whatever is not named here is wrong here"
)]

use redis::{ServerError, Value};

use super::schema::{Change, StreamId};
use crate::util::escape::escaped;

/// Not what the command answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Odd {
    /// The server refused it: its words, escaped and cut.
    Refused(String),
    /// It has another form.
    Form,
}

/// A string, or nothing.
pub(super) fn text(value: Value) -> Result<Option<Vec<u8>>, Odd> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes)),
        Value::SimpleString(text) => Ok(Some(text.into_bytes())),
        other => Err(odd(&other)),
    }
}

/// A number.
pub(super) fn number(value: &Value) -> Result<i64, Odd> {
    match value {
        Value::Int(number) => Ok(*number),
        other => Err(odd(other)),
    }
}

/// `+OK`, or `+QUEUED` and the like: anything but a refusal.
pub(super) fn accepted(value: &Value) -> Result<(), Odd> {
    match value {
        Value::Okay | Value::SimpleString(_) => Ok(()),
        other => Err(odd(other)),
    }
}

/// SET with NX: whether it was.
pub(super) fn was_set(value: &Value) -> Result<bool, Odd> {
    match value {
        Value::Okay => Ok(true),
        Value::Nil => Ok(false),
        other => Err(odd(other)),
    }
}

/// Several.
pub(super) fn list(value: Value) -> Result<Vec<Value>, Odd> {
    match value {
        Value::Array(values) => Ok(values),
        other => Err(odd(&other)),
    }
}

/// Several strings.
pub(super) fn texts(value: Value) -> Result<Vec<Vec<u8>>, Odd> {
    let each = |value| text(value)?.ok_or(Odd::Form);
    list(value)?.into_iter().map(each).collect()
}

/// SCAN: the cursor to go on with, and keys.
pub(super) fn scanned(value: Value) -> Result<(u64, Vec<Vec<u8>>), Odd> {
    let [cursor, keys] = pair(list(value)?)?;
    let cursor = text(cursor)?.and_then(|cursor| String::from_utf8(cursor).ok());
    let cursor = cursor.and_then(|cursor| cursor.parse().ok()).ok_or(Odd::Form)?;
    Ok((cursor, texts(keys)?))
}

/// XREAD of one stream: changes in order. Nothing new is nil.
pub(super) fn changes(value: Value) -> Result<Vec<(StreamId, Change)>, Odd> {
    if value == Value::Nil {
        return Ok(Vec::new());
    }
    let mut streams = list(value)?.into_iter();
    let (Some(stream), None) = (streams.next(), streams.next()) else { return Err(Odd::Form) };
    let [_name, entries] = pair(list(stream)?)?;
    entries_of(entries)
}

/// XRANGE: entries of a stream in order.
pub(super) fn entries_of(value: Value) -> Result<Vec<(StreamId, Change)>, Odd> {
    let entry = |value| {
        let [id, fields] = pair(list(value)?)?;
        let id = text(id)?.and_then(|id| StreamId::parse(&id)).ok_or(Odd::Form)?;
        // The fields of an entry that was deleted meanwhile are nil.
        let fields = if fields == Value::Nil { Vec::new() } else { texts(fields)? };
        Ok((id, Change::of(fields)))
    };
    list(value)?.into_iter().map(entry).collect()
}

/// Where a stream begins and ends, of XINFO STREAM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StreamInfo {
    /// Of the oldest entry that is left.
    pub(super) first: Option<StreamId>,
    /// Of the newest.
    pub(super) newest: Option<StreamId>,
    /// The last ID that was given out, whether its entry is left or not.
    pub(super) last: StreamId,
}

/// XINFO STREAM. One that is not there has given nothing out.
pub(super) fn stream_info(value: Value) -> Result<StreamInfo, Odd> {
    if matches!(&value, Value::ServerError(error) if error.details() == Some("no such key")) {
        return Ok(StreamInfo::default());
    }
    let (mut first, mut newest, mut last) = (None, None, None);
    let mut members = list(value)?.into_iter();
    while let (Some(name), Some(value)) = (members.next(), members.next()) {
        match text(name)?.as_deref() {
            Some(b"last-generated-id") => {
                last = text(value)?.and_then(|id| StreamId::parse(&id));
            }
            Some(b"first-entry") => first = id_of(value)?,
            Some(b"last-entry") => newest = id_of(value)?,
            Some(_) | None => {}
        }
    }
    Ok(StreamInfo { first, newest, last: last.ok_or(Odd::Form)? })
}

/// Of an entry, if there is one.
fn id_of(entry: Value) -> Result<Option<StreamId>, Odd> {
    if entry == Value::Nil {
        return Ok(None);
    }
    let [id, _fields] = pair(list(entry)?)?;
    text(id)?.and_then(|id| StreamId::parse(&id)).ok_or(Odd::Form).map(Some)
}

fn pair(values: Vec<Value>) -> Result<[Value; 2], Odd> {
    values.try_into().map_err(|_| Odd::Form)
}

/// Why this is not what was asked for.
pub(super) fn odd(value: &Value) -> Odd {
    match value {
        Value::ServerError(error) => Odd::Refused(words(error)),
        _ => Odd::Form,
    }
}

/// The server's words.
pub(super) fn words(error: &ServerError) -> String {
    shown(&format!("{} {}", error.code(), error.details().unwrap_or_default()))
}

/// Text of a server's, escaped and cut.
pub(super) fn shown(text: &str) -> String {
    escaped(text.trim(), 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn array<const N: usize>(values: [Value; N]) -> Value {
        Value::Array(values.into())
    }

    fn entry(id: &str, fields: Value) -> Value {
        array([bulk(id), fields])
    }

    fn parsed(wire: &str) -> Value {
        redis::parse_redis_value(wire.as_bytes()).unwrap()
    }

    #[test]
    fn nothing_new_is_no_error_and_no_change() {
        assert_eq!(changes(Value::Nil), Ok(vec![]));
    }

    #[test]
    fn changes_are_read_as_the_server_writes_them() {
        let wire =
            "*1\r\n*2\r\n$1\r\nc\r\n*1\r\n*2\r\n$3\r\n7-1\r\n*2\r\n$5\r\nentry\r\n$2\r\n{}\r\n";
        let id = StreamId::parse(b"7-1").unwrap();
        assert_eq!(changes(parsed(wire)), Ok(vec![(id, Change::Entry(b"{}".to_vec()))]));
    }

    #[test]
    fn an_answer_of_another_form_is_no_empty_one() {
        let odd = [
            array([]),
            bulk(""),
            Value::Int(0),
            array([bulk("c")]),
            array([array([bulk("c"), Value::Nil])]),
            array([array([bulk("c"), array([entry("7", array([]))])])]),
            array([array([bulk("c"), array([entry("7-1", bulk("entry"))])])]),
            array([array([bulk("c"), array([])]), array([bulk("d"), array([])])]),
        ];
        for value in odd {
            assert_eq!(changes(value.clone()), Err(Odd::Form), "{value:?}");
        }
        assert_eq!(scanned(array([bulk("x"), array([])])), Err(Odd::Form));
        assert_eq!(scanned(array([bulk("0"), array([Value::Int(1)])])), Err(Odd::Form));
        assert_eq!(stream_info(array([])), Err(Odd::Form), "without a last ID");
    }

    #[test]
    fn a_refusal_is_told_in_the_servers_words_escaped_and_cut() {
        let wire = format!("-NOPERM no\u{1b}[31m {}\r\n", "x".repeat(500));
        let Err(Odd::Refused(words)) = text(parsed(&wire)) else { panic!("a refusal") };
        assert!(words.starts_with("NOPERM no\\u{1b}[31m xx") && words.len() < 300, "{words}");
    }

    #[test]
    fn where_a_stream_begins_and_ends_is_found_among_whatever_else_is_told() {
        let first = entry("3-0", array([bulk("entry"), bulk("{}")]));
        let newest = entry("8-0", array([bulk("entry"), bulk("{}")]));
        let info = array([
            bulk("last-entry"),
            newest,
            bulk("length"),
            Value::Int(2),
            bulk("last-generated-id"),
            bulk("9-4"),
            bulk("first-entry"),
            first,
        ]);
        let (first, last) = (StreamId::parse(b"3-0"), StreamId::parse(b"9-4").unwrap());
        let newest = StreamId::parse(b"8-0");
        assert_eq!(stream_info(info), Ok(StreamInfo { first, newest, last }));
        let empty =
            array([bulk("last-generated-id"), bulk("9-4"), bulk("first-entry"), Value::Nil]);
        assert_eq!(stream_info(empty), Ok(StreamInfo { first: None, newest: None, last }));
    }
}
