//! A token on the command line: the text itself, `-` for standard input, or `@FILE`, which keeps it out of the list of
//! processes. `inspect`, `explain` and `revocations check` read it; errors never quote it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};

/// Longer texts are no tokens of anybody.
const MAX_BYTES: u64 = 1 << 20;

/// Where a token is. `Debug` does not show it.
#[derive(Clone)]
pub(super) struct TokenText(String);

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenText")
    }
}

impl From<String> for TokenText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// Why there is no token to look at.
#[derive(Debug, thiserror::Error)]
pub(super) enum TokenError {
    #[error("the token cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("the token is longer than 1 MiB")]
    TooLong,
    #[error("there is no token")]
    Empty,
}

impl TokenText {
    /// Whether it is what standard input holds.
    pub(super) fn is_stdin(&self) -> bool {
        self.0 == "-"
    }

    /// The token, without white space around it and without the `Bearer` that may have been copied with it.
    pub(super) fn read(&self) -> Result<String, TokenError> {
        let text = match self.0.strip_prefix('@') {
            Some(path) => bounded(File::open(path)?)?,
            None if self.is_stdin() => bounded(io::stdin().lock())?,
            None => self.0.clone(),
        };
        let text = text.trim();
        let bare = match text.split_at_checked("bearer ".len()) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer ") => rest.trim_start(),
            Some(_) | None => text,
        };
        if bare.is_empty() { Err(TokenError::Empty) } else { Ok(bare.to_owned()) }
    }
}

fn bounded(source: impl Read) -> Result<String, TokenError> {
    let mut bytes = Vec::new();
    source.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_BYTES) {
        return Err(TokenError::TooLong);
    }
    // What is no UTF-8 is no token either, which whoever looks at it will say.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
