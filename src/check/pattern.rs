//! A condition on a text: equal, beginning, ending, or a regular expression. Rules use it on headers, subjects and
//! claims. It knows nothing of paths and hosts, which have forms of their own.

use std::fmt;

use regex::{Regex, RegexBuilder};

/// A condition on a text. Case matters.
#[derive(Clone)]
pub enum TextPattern {
    /// Exactly this.
    Exact(Box<str>),
    /// Begins with this.
    Prefix(Box<str>),
    /// Ends with this.
    Suffix(Box<str>),
    /// All of it is matched by this expression: nothing stands before or after.
    Regex(Box<Regex>),
}

/// A compiled expression may take so much memory. Matching takes time linear in the text, whatever the expression.
const MAX_COMPILED_BYTES: usize = 1 << 20;

impl TextPattern {
    /// A pattern that is matched by whole texts only, in the syntax of the `regex` crate: no look-around, no
    /// back-references.
    ///
    /// # Errors
    /// No such expression, or one that takes more than 1 MiB when compiled.
    pub fn regex(expression: &str) -> Result<Self, PatternError> {
        whole(expression).map(|regex| Self::Regex(Box::new(regex)))
    }

    /// Whether `text` meets the condition.
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => text == &**exact,
            Self::Prefix(prefix) => text.starts_with(&**prefix),
            Self::Suffix(suffix) => text.ends_with(&**suffix),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

fn whole(expression: &str) -> Result<Regex, PatternError> {
    let compile = |text: &str| {
        let compiled = RegexBuilder::new(text).size_limit(MAX_COMPILED_BYTES).build();
        compiled.map_err(|error| PatternError(error.to_string()))
    };
    // On its own first: `a)|(b` is no expression, and would become one between our brackets.
    compile(expression)?;
    compile(&anchored(expression))
}

/// The expression for whole texts. One that ends in a comment swallows the bracket, and does not compile.
fn anchored(expression: &str) -> String {
    format!(r"\A(?:{expression})\z")
}

/// Why an expression is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(String);

impl PartialEq for TextPattern {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(one), Self::Exact(other))
            | (Self::Prefix(one), Self::Prefix(other))
            | (Self::Suffix(one), Self::Suffix(other)) => one == other,
            (Self::Regex(one), Self::Regex(other)) => one.as_str() == other.as_str(),
            (Self::Exact(_) | Self::Prefix(_) | Self::Suffix(_) | Self::Regex(_), _) => false,
        }
    }
}

impl Eq for TextPattern {}

impl fmt::Debug for TextPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(exact) => write!(f, "{exact:?}"),
            Self::Prefix(prefix) => write!(f, "prefix {prefix:?}"),
            Self::Suffix(suffix) => write!(f, "suffix {suffix:?}"),
            Self::Regex(regex) => write!(f, "regex {:?}", regex.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_matches_whole_texts_only() {
        let pattern = TextPattern::regex("svc-[a-z]+|a|ab").unwrap();
        for text in ["svc-x", "a", "ab"] {
            assert!(pattern.matches(text), "{text}");
        }
        for text in ["svc-", "xsvc-x", "svc-x\n", "svc-x1", "abc", ""] {
            assert!(!pattern.matches(text), "{text:?}");
        }
    }

    #[test]
    fn an_expression_cannot_leave_its_brackets() {
        for expression in ["a)|(b", "(?x) a # to the end", "a(", "(?=a)", "(a)\\1", "a{1000}{1000}"]
        {
            assert!(TextPattern::regex(expression).is_err(), "{expression}");
        }
        // A flag holds for its expression and not for what we put around it.
        assert!(!TextPattern::regex("(?m)a$").unwrap().matches("a\nb"));
    }

    #[test]
    fn beginnings_and_ends_are_just_that() {
        assert!(TextPattern::Prefix("svc-".into()).matches("svc-a"));
        assert!(!TextPattern::Prefix("svc-".into()).matches("a-svc-"));
        assert!(TextPattern::Suffix("@example.com".into()).matches("a@example.com"));
        assert!(!TextPattern::Exact("a".into()).matches("A"));
    }
}
