//! Text from outside (a provider's words, a kid, the names in a certificate) on its way into a log line, an error or a page:
//! printable ASCII, so that it can make no line of ours and move no cursor, and not too much of it.

use std::error::Error;

/// The first `max_chars` characters of `text`, each as Rust would write it in a literal.
pub fn escaped(text: &str, max_chars: usize) -> String {
    text.chars().take(max_chars).flat_map(char::escape_default).collect()
}

/// What happened: the innermost cause of `error`, escaped and cut, without what libraries say around it, which may repeat a
/// URL with secrets in it. `None` when the error has no cause.
pub fn innermost_cause(error: &dyn Error) -> Option<String> {
    let mut innermost = error.source()?;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    Some(escaped(&innermost.to_string(), 160))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("error for https://user:hunter2@id.example")]
    struct Outer(#[source] io::Error);

    #[test]
    fn what_stands_around_a_cause_is_not_told() {
        let error = Outer(io::Error::other("no\nroute"));
        assert_eq!(innermost_cause(&error).as_deref(), Some("no\\nroute"));
        assert_eq!(innermost_cause(&io::Error::from(io::ErrorKind::NotFound)), None);
    }

    #[test]
    fn nothing_but_printable_ascii_comes_out_and_no_more_than_is_asked_for() {
        assert_eq!(escaped("a b'\n\u{1b}[31mé\u{202e}", 9), "a b\\'\\n\\u{1b}[31");
        assert_eq!(escaped("\u{10ffff}x", 1), "\\u{10ffff}");
        assert_eq!(escaped("", 9), "");
    }
}
