//! Which requests a rule is about: its conditions on path, method, host and headers. The last word on whether a rule
//! applies; [`super::index`] only saves asking rules that cannot.

use crate::check::host::{Host, HostPattern};
use crate::check::pattern::TextPattern;
use crate::check::request::CheckRequest;

/// Which requests a rule is about: all conditions must hold; one that is empty always does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleMatch {
    /// The path, without the query. Case matters.
    pub path: PathMatch,
    /// One of these methods, in upper case.
    pub methods: Vec<String>,
    /// One of these hosts.
    pub hosts: Vec<HostPattern>,
    /// All of these headers.
    pub headers: Vec<HeaderMatch>,
}

/// A condition on the path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PathMatch {
    /// Any path, also none at all.
    #[default]
    Any,
    /// Exactly this path.
    Exact(String),
    /// This path and everything below it: `/admin` and `/admin/x`, never `/administrator`. Kept without
    /// its trailing slash.
    Prefix(String),
    /// Segments, some of which may be anything.
    Template(PathTemplate),
    /// A regular expression over the whole path.
    Regex(TextPattern),
}

/// `/orders/{id}/items`: as many segments, of which those in braces may be anything but empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate {
    /// The segments in order; `None` is one in braces.
    pub segments: Vec<Option<String>>,
    /// Whether everything below is meant as well: the template ended in `/**`.
    pub below: bool,
}

/// A condition on a header: one of its values must meet it. A client may send what it likes, so a rule that lets pass
/// without a token (open, optional, in shadow) must not have one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderMatch {
    /// The name, in lower case.
    pub name: String,
    /// What the value must be; `None`: anything, as long as the header is there.
    pub value: Option<TextPattern>,
}

/// What of a request the conditions look at, besides the path, of which there may be several readings.
pub(super) struct Target<'a> {
    pub(super) request: &'a CheckRequest<'a>,
    pub(super) host: Host<'a>,
}

impl RuleMatch {
    /// Whether all conditions hold. Methods are case-sensitive (RFC 9110 §9.1), but an upstream may not know: `post`
    /// must not walk around a rule that closes `POST`, and opens nothing.
    pub(super) fn holds(&self, target: &Target<'_>, path: &str, opens: bool) -> bool {
        let method = &*target.request.method;
        let is_named = |name: &String| {
            if opens { name == method } else { name.eq_ignore_ascii_case(method) }
        };
        (self.methods.is_empty() || self.methods.iter().any(is_named))
            && (self.hosts.is_empty() || self.hosts.iter().any(|host| host.matches(&target.host)))
            && self.path.matches(path)
            && self.headers.iter().all(|header| header.matches(target.request))
    }

    /// Whether every request meets them.
    pub fn is_everything(&self) -> bool {
        let Self { path, methods, hosts, headers } = self;
        let is_any_path = match path {
            PathMatch::Any => true,
            // `path_prefix: /`, kept without its slash.
            PathMatch::Prefix(prefix) => prefix.is_empty(),
            PathMatch::Exact(_) | PathMatch::Template(_) | PathMatch::Regex(_) => false,
        };
        is_any_path && methods.is_empty() && hosts.is_empty() && headers.is_empty()
    }
}

impl PathMatch {
    pub(super) fn matches(&self, path: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) => path
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            Self::Template(template) => template.matches(path),
            Self::Regex(pattern) => pattern.matches(path),
        }
    }
}

impl PathTemplate {
    fn matches(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else { return false };
        let mut received = path.split('/');
        let fits = self.segments.iter().all(|segment| match (segment, received.next()) {
            (Some(literal), Some(received)) => literal == received,
            (None, Some(received)) => !received.is_empty(),
            (_, None) => false,
        });
        fits && (self.below || received.next().is_none())
    }
}

impl HeaderMatch {
    fn matches(&self, request: &CheckRequest<'_>) -> bool {
        request.header_values(&self.name).any(|value| match &self.value {
            None => true,
            // Envoy joins the values of a repeated header.
            Some(pattern) => {
                pattern.matches(value)
                    || (value.contains(',')
                        && value
                            .split(',')
                            .any(|one| pattern.matches(one.trim_matches([' ', '\t']))))
            }
        })
    }
}
