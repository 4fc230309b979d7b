//! The scopes of a token, whichever way its issuer writes them: `scope` (RFC 8693 §4.2, RFC 9068 §2.2.3) or `scp`,
//! a string with spaces or a list. Requirements read them, and the metadata for Envoy.

use crate::token::Claims;
use crate::util::json::Value;

/// The scopes that a token was granted, in the order they were written, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes<'a>(Vec<&'a str>);

impl<'a> Scopes<'a> {
    /// The scopes in `claims`. What is no string grants nothing.
    pub fn of(claims: &'a Claims) -> Self {
        let mut scopes = Self::default();
        for claim in ["scope", "scp"] {
            match claims.get(claim) {
                Some(Value::String(text)) => text.split(' ').for_each(|one| scopes.add(one)),
                Some(Value::Array(list)) => {
                    // An element is one scope, whatever is in it: scopes hold no space (RFC 6749 §3.3).
                    let texts = list.iter().filter_map(Value::as_str);
                    texts.filter(|text| !text.contains(' ')).for_each(|one| scopes.add(one));
                }
                Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {
                }
            }
        }
        scopes
    }

    /// Whether this very scope was granted.
    pub fn contains(&self, scope: &str) -> bool {
        self.0.contains(&scope)
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().copied()
    }

    fn add(&mut self, scope: &'a str) {
        if !scope.is_empty() && !self.contains(scope) {
            self.0.push(scope);
        }
    }
}
