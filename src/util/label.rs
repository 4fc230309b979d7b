//! A configured name that is safe to use as a metric label: what it names was written by an operator, never by a
//! client. Issuers, key sources, rules and the reference issuer's clients carry one; decisions, logs and metrics repeat
//! it.

use std::fmt;
use std::sync::Arc;

/// A configured name with its place in the configuration's list.
///
/// The index lets a metric handle be found without hashing the name; cloning is a reference count, and it is as small as
/// that: every remembered token has one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(Arc<Named>);

#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Named {
    index: usize,
    name: Box<str>,
}

impl Label {
    /// The label of the `index`-th entry of its list.
    pub fn new(index: usize, name: &str) -> Self {
        Self(Arc::new(Named { index, name: name.into() }))
    }

    /// Place in the configuration's list, from 0.
    pub fn index(&self) -> usize {
        self.0.index
    }

    /// The name as configured.
    pub fn name(&self) -> &str {
        &self.0.name
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.name(), self.index())
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
