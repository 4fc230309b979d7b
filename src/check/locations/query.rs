//! A query parameter that carries a token (RFC 6750 §2.3). Names and values are read as forms are: with escapes, and `+`
//! for a space. Envoy removes parameters by the spelling in which they were sent, so those are what is reported.

use std::borrow::Cow;

use super::Read;
use crate::check::path;
use crate::check::request::CheckRequest;

/// The one token under `name`.
pub(super) fn read<'a>(request: &'a CheckRequest<'_>, name: &str) -> Read<'a> {
    let found = pairs(request).filter(|(spelled, _)| is(spelled, name));
    let each =
        found.filter(|(_, value)| !value.is_empty()).map(|(_, value)| match decoded(value) {
            Some(value) => Read::Token(value),
            None => Read::Malformed,
        });
    let found = each.fold(Read::Missing, Read::and);
    // To some readers a semicolon parts parameters as well.
    let hides_one = |pair: &str| {
        pair.split(';').skip(1).any(|one| is(one.split('=').next().unwrap_or_default(), name))
    };
    if texts(request).any(hides_one) { found.and(Read::Malformed) } else { found }
}

/// Every spelling under which `name` was sent.
pub(super) fn spellings(request: &CheckRequest<'_>, name: &str) -> Vec<String> {
    let found = pairs(request).filter(|(spelled, _)| is(spelled, name));
    found.map(|(spelled, _)| spelled.to_owned()).collect()
}

fn pairs<'a>(request: &'a CheckRequest<'_>) -> impl Iterator<Item = (&'a str, &'a str)> {
    texts(request).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn texts<'a>(request: &'a CheckRequest<'_>) -> impl Iterator<Item = &'a str> {
    let query = request.query().unwrap_or_default();
    // Envoy takes a fragment off or refuses it; what is behind it is no parameter.
    let query = query.split('#').next().unwrap_or_default();
    query.split('&')
}

fn is(spelled: &str, name: &str) -> bool {
    spelled == name || decoded(spelled).is_some_and(|decoded| decoded == name)
}

/// `None` when it is not UTF-8.
fn decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    String::from_utf8(path::octets(&text.replace('+', " "))).ok().map(Cow::Owned)
}
