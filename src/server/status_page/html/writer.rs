//! What the page is written with: HTML of ours as it is, and any other text so that it stays text. Nothing else reaches the
//! page, and it says nothing of what is on it.

use std::fmt::Write as _;

use crate::util::clock::UnixTime;
use crate::util::rfc3339::parse_rfc3339;

/// Of one text from outside.
const MAX_CHARS: usize = 1024;

/// A page that is being written.
pub(super) struct Html {
    text: String,
    now: UnixTime,
}

impl Html {
    /// An empty page, on which times are told as of `now`.
    pub(super) fn new(now: UnixTime) -> Self {
        Self { text: String::new(), now }
    }

    /// What was compiled in.
    pub(super) fn raw(&mut self, html: &'static str) -> &mut Self {
        self.text.push_str(html);
        self
    }

    /// What is not: shown as it is, except for what would be taken for HTML, what cannot be seen and what turns the direction of
    /// writing around. Cut after [`MAX_CHARS`].
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for c in text.chars().take(MAX_CHARS) {
            match c {
                '&' => self.text.push_str("&amp;"),
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '"' => self.text.push_str("&quot;"),
                '\'' => self.text.push_str("&#39;"),
                '\n' => self.text.push('\n'),
                _ if c.is_control() || turns_around(c) => self.text.extend(c.escape_unicode()),
                _ => self.text.push(c),
            }
        }
        if text.chars().nth(MAX_CHARS).is_some() {
            self.text.push('…');
        }
        self
    }

    /// A number.
    pub(super) fn number(&mut self, number: u64) -> &mut Self {
        let _infallible = write!(self.text, "{number}");
        self
    }

    /// A word to be seen at a glance.
    pub(super) fn badge(&mut self, class: &'static str, word: &'static str) -> &mut Self {
        self.raw("<span class=\"badge ").raw(class).raw("\">").raw(word).raw("</span>")
    }

    /// A time as [`rfc3339`](crate::util::rfc3339::rfc3339) writes it: how far away, and which.
    pub(super) fn time(&mut self, at: &str) -> &mut Self {
        if let Some(time) = parse_rfc3339(at) {
            let away = if time > self.now {
                format!("in {}", spoken(time.since(self.now).as_secs()))
            } else {
                format!("{} ago", spoken(self.now.since(time).as_secs()))
            };
            self.text(&away).raw(" ");
        }
        self.raw("<time class=\"quiet\">").text(at).raw("</time>")
    }

    /// How long ago something was read, if it ever was.
    pub(super) fn age(&mut self, seconds: Option<u64>) -> &mut Self {
        match seconds {
            Some(seconds) => self.text(&spoken(seconds)),
            None => self.raw("<span class=\"warn\">never read</span>"),
        }
    }

    /// The page.
    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// In its two largest units.
fn spoken(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// Unicode's marks, embeddings, overrides and isolates.
const fn turns_around(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
