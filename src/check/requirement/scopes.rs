//! The scopes of a token, whichever way its issuer writes them: `scope` (RFC 8693 §4.2, RFC 9068 §2.2.3) or `scp`,
//! a string with spaces or a list. Requirements read them, and the metadata for Envoy.

use std::collections::HashSet;

use crate::token::Claims;
use crate::util::json::{Parts, View};

/// The scopes that a token was granted. Nothing is made of them before somebody asks, and no question takes longer than
/// the token is long.
#[derive(Clone, Copy, Debug)]
pub struct Scopes<'a>(&'a Claims);

impl<'a> Scopes<'a> {
    /// The scopes in `claims`. What is no string grants nothing.
    pub fn of(claims: &'a Claims) -> Self {
        Self(claims)
    }

    /// Whether this very scope was granted.
    pub fn contains(&self, scope: &str) -> bool {
        self.written().any(|one| one == scope)
    }

    /// One after the other in the order they were written, each once.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> {
        let mut seen = HashSet::new();
        self.written().filter(move |one| seen.insert(*one))
    }

    fn written(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let claims = self.0;
        let written = ["scope", "scp"].into_iter().filter_map(|name| claims.get(name));
        let each = written.flat_map(|claim| {
            let texts = claim.as_str().into_iter().flat_map(|text| text.split(' '));
            let list = if let View::Array(list) = claim { Some(list) } else { None };
            let list = list.into_iter().flat_map(Parts::elements);
            // An element is one scope, whatever is in it: scopes hold no space (RFC 6749 §3.3).
            let listed = list.filter_map(View::as_str).filter(|text| !text.contains(' '));
            texts.chain(listed)
        });
        each.filter(|one| !one.is_empty())
    }
}
