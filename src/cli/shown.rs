//! What others wrote, made fit for a terminal and for programs: escaped and cut. Every subcommand that shows such text
//! shows it through here.

use std::fmt::Write as _;

/// Characters of a text that is not what the reader asked for.
const MAX_SHOWN: usize = 120;

/// Characters of an error: it names a location first, and what matters is at its end.
const MAX_ERROR: usize = 500;

/// Printable ASCII as it is, everything else escaped, and not too much of it: no line of ours can be made by others.
pub(super) fn shown(text: &str) -> String {
    cut(text, MAX_SHOWN)
}

/// The same, of a source's error.
pub(super) fn error_text(text: &str) -> String {
    cut(text, MAX_ERROR)
}

fn cut(text: &str, max: usize) -> String {
    let mut shown = escaped(text.chars().take(max));
    if text.chars().nth(max).is_some() {
        shown.push('…');
    }
    shown
}

/// The same, all of it.
pub(super) fn whole(text: &str) -> String {
    escaped(text.chars())
}

fn escaped(text: impl Iterator<Item = char>) -> String {
    let mut shown = String::new();
    for character in text {
        match character {
            ' '..='~' => shown.push(character),
            _ => shown.extend(character.escape_default()),
        }
    }
    shown
}

/// JSON in ASCII. Beyond ASCII, there is something in strings only, where `\u` escapes may stand.
pub(super) fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            ' '..='~' => text.push(character),
            _ => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    // Writing to a String cannot fail.
                    let _infallible = write!(text, "\\u{unit:04x}");
                }
            }
        }
    }
    text
}

/// `1 entry`, `2 entries`: `noun` in its plural, if that is what it takes.
pub(super) fn counted(count: usize, noun: &str) -> String {
    let plural = match noun.strip_suffix('y') {
        _ if count == 1 => noun.to_owned(),
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        Some(_) | None => format!("{noun}s"),
    };
    format!("{count} {plural}")
}

/// `4m48s`, `2d3h`: the two largest units, or three up to a day.
pub(super) fn duration(seconds: u64) -> String {
    let days = seconds / 86_400;
    let units: &[(u64, &str)] = if days > 0 {
        &[(days, "d"), (seconds / 3600 % 24, "h")]
    } else {
        &[(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")]
    };
    let mut text = String::new();
    for (amount, unit) in units.iter().filter(|(amount, _)| *amount > 0) {
        // Writing to a String cannot fail.
        let _infallible = write!(text, "{amount}{unit}");
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_others_wrote_cannot_make_a_line_or_a_control_sequence() {
        let text = shown("a\r\nb\u{1b}[31m\u{2028}é\"'");
        assert_eq!(text, "a\\r\\nb\\u{1b}[31m\\u{2028}\\u{e9}\"'");
        assert_eq!(shown(&"k".repeat(121)), format!("{}…", "k".repeat(120)));
        let value = json!({"kid": "\u{1b}\u{9b}31m😀\u{7f}\""});
        let text = ascii(&value.to_string());
        assert!(text.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn one_is_singular_and_anything_else_plural() {
        let nouns = ["client", "entry", "key", "key source"];
        assert_eq!(
            nouns.map(|noun| counted(1, noun)),
            ["1 client", "1 entry", "1 key", "1 key source"]
        );
        assert_eq!(
            nouns.map(|noun| counted(0, noun)),
            ["0 clients", "0 entries", "0 keys", "0 key sources"]
        );
        assert_eq!(counted(12, "entry"), "12 entries");
    }

    #[test]
    fn durations_are_written_as_an_operator_would() {
        for (seconds, expected) in [
            (0, "0s"),
            (60, "1m"),
            (288, "4m48s"),
            (3600, "1h"),
            (3601, "1h1s"),
            (86_400, "1d"),
            (93_784, "1d2h"),
        ] {
            assert_eq!(duration(seconds), expected);
        }
    }
}
