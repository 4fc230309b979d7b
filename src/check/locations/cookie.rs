//! A cookie that carries a token (RFC 6265 §4.2). Over HTTP/2 the pairs of several `Cookie` headers arrive joined by
//! `; `, over HTTP/1 by `,`, so both part them: a token that only one way of reading finds is found.

use std::borrow::Cow;

use super::Read;
use crate::check::request::CheckRequest;

/// The one token under `name`.
pub(super) fn read<'a>(request: &'a CheckRequest, name: &str) -> Read<'a> {
    let pairs = request.header_values("cookie").flat_map(|value| value.split([';', ',']));
    let values = pairs.filter_map(|pair| value_of(pair, name));
    let each =
        values.filter(|value| !value.is_empty()).map(|value| Read::Token(Cow::Borrowed(value)));
    each.fold(Read::Missing, Read::and)
}

/// The cookies without those that are called one of `names`; `None` when there is none of them. The others stay as
/// they were sent, joined as over HTTP/2.
pub(super) fn without(request: &CheckRequest, names: &[&str]) -> Option<String> {
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
