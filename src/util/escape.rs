//! Text from outside (a provider's words, a kid, the names in a certificate) on its way into a log line, an error or a page:
//! printable ASCII, so that it can make no line of ours and move no cursor, and not too much of it.

/// The first `max_chars` characters of `text`, each as Rust would write it in a literal.
pub fn escaped(text: &str, max_chars: usize) -> String {
    text.chars().take(max_chars).flat_map(char::escape_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_printable_ascii_comes_out_and_no_more_than_is_asked_for() {
        assert_eq!(escaped("a b'\n\u{1b}[31mé\u{202e}", 9), "a b\\'\\n\\u{1b}[31");
        assert_eq!(escaped("\u{10ffff}x", 1), "\\u{10ffff}");
        assert_eq!(escaped("", 9), "");
    }
}
