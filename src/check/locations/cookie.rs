//! A cookie that carries a token (RFC 6265 §4.2). Over HTTP/2 the pairs of several `Cookie` headers arrive joined by
//! `; `, over HTTP/1 by `,`, so both part them: a token that only one way of reading finds is found.
//!
//! Other hosts of the same site can set cookies, and other cookies may hold text of anybody's. A name that only lenient
//! readers see (behind a no-break space, say) is therefore no token, but something in its place; and so is what stands
//! behind a comma where the name is one that browsers guard.

use std::borrow::Cow;

use super::Read;
use crate::check::request::CheckRequest;

/// The one token under `name`.
pub(super) fn read<'a>(request: &'a CheckRequest<'_>, name: &str) -> Read<'a> {
    let crumbs = request.header_values("cookie").flat_map(|value| value.split(';'));
    let pairs = crumbs.flat_map(|crumb| crumb.split(',').zip(0_usize..));
    let each = pairs.filter_map(|(pair, place)| {
        let value = value_of(pair, name).filter(|value| !value.is_empty())?;
        let is_certain = is_named(pair, name) && (place == 0 || !is_guarded(name));
        Some(if is_certain { Read::Token(Cow::Borrowed(value)) } else { Read::Malformed })
    });
    each.fold(Read::Missing, Read::and)
}

/// Whether the pair has this name to every reader (RFC 6265 §5.2).
fn is_named(pair: &str, name: &str) -> bool {
    pair.split('=').next().is_some_and(|found| found.trim_matches([' ', '\t']) == name)
}

/// Whether browsers see to it who sets such a cookie (RFC 6265bis §4.1.3).
fn is_guarded(name: &str) -> bool {
    let starts = |prefix: &str| {
        name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    ["__host-", "__secure-", "__http-"].into_iter().any(starts)
}

/// The cookies without those that are called one of `names`; `None` when there is none of them. The others stay as
/// they were sent, joined as over HTTP/2.
pub(super) fn without(request: &CheckRequest<'_>, names: &[&str]) -> Option<String> {
    if names.is_empty() {
        return None;
    }
    let is_ours = |pair: &str| names.iter().any(|name| value_of(pair, name).is_some());
    let mut kept: Vec<Cow<'_, str>> = Vec::new();
    let mut is_changed = false;
    for crumb in request.header_values("cookie").flat_map(|value| value.split(';')) {
        if crumb.split(',').any(is_ours) {
            is_changed = true;
            let rest: Vec<&str> = crumb.split(',').filter(|pair| !is_ours(pair)).collect();
            kept.push(Cow::Owned(rest.join(",")));
        } else {
            kept.push(Cow::Borrowed(crumb));
        }
    }
    let kept = kept.iter().map(|crumb| crumb.trim()).filter(|crumb| !crumb.is_empty());
    is_changed.then(|| kept.collect::<Vec<_>>().join("; "))
}

/// The value of a pair that has this name, without the quotes that may stand around it.
fn value_of<'a>(pair: &'a str, name: &str) -> Option<&'a str> {
    let (found, value) = pair.split_once('=').unwrap_or((pair, ""));
    if found.trim() != name {
        return None;
    }
    let value = value.trim();
    Some(value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value))
}
