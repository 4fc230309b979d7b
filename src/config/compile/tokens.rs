//! `tokens`: where a token comes in.

use super::Compiler;
use crate::check::forward::plain_header_name;
use crate::check::locations::{HeaderLocation, TokenLocation, TokenLocations};
use crate::config::raw::RawTokenLocation;
use crate::config::report::{Path, quote};
use crate::config::scalar::{List, Mapping};

const KINDS: &str = "one of header, cookie and query";

/// Each is looked for in every request.
const MOST: usize = 16;

impl Compiler<'_> {
    /// The places that may hold a token.
    pub(super) fn tokens(
        &mut self,
        path: &Path,
        raw: Option<List<Mapping<RawTokenLocation>>>,
    ) -> TokenLocations {
        let Some(List(list)) = raw else { return TokenLocations::default() };
        self.not_empty(
            path,
            list.len(),
            "at least one place, or no such key for Authorization: Bearer",
        );
        if list.len() > MOST {
            self.report.wrong(path, list.len(), format!("at most {MOST} places"));
        }
        let mut locations: Vec<TokenLocation> = Vec::with_capacity(list.len());
        for (index, raw) in list.into_iter().enumerate() {
            let Some(Mapping(raw)) = raw else { continue };
            locations.extend(self.token_location(&path.index(index), raw, &locations));
        }
        TokenLocations::new(locations)
    }

    fn token_location(
        &mut self,
        path: &Path,
        raw: RawTokenLocation,
        before: &[TokenLocation],
    ) -> Option<TokenLocation> {
        if raw.header.is_none() && raw.prefix.is_some() {
            let expected = "no such key without header";
            self.report.wrong(&path.key("prefix"), "a prefix", expected);
        }
        let location = match (raw.header, raw.cookie, raw.query) {
            (Some(name), None, None) => {
                let header = self.token_header(&path.key("header"), &name, before)?;
                let prefix = self.token_prefix(&path.key("prefix"), raw.prefix, &header);
                let header = header.into();
                return Some(TokenLocation::Header(HeaderLocation { header, prefix }));
            }
            (None, Some(name), None) => {
                // RFC 6265 §4.1.1: a token.
                self.check_name(&path.key("cookie"), &name, "()<>@,;:\\\"/[]?={}");
                TokenLocation::Cookie(name)
            }
            (None, None, Some(name)) => {
                self.check_name(&path.key("query"), &name, "&=#?;%+");
                TokenLocation::Query(name)
            }
            (None, None, None) => {
                if !self.report.has_in(path) || raw.prefix.is_some() {
                    self.report.missing(path, KINDS);
                }
                return None;
            }
            (_, _, _) => {
                self.report.wrong(path, "several of them", KINDS);
                return None;
            }
        };
        if before.contains(&location) {
            self.report.wrong(path, "the same place again", "each place once");
        }
        Some(location)
    }

    fn check_name(&mut self, path: &Path, name: &str, never: &str) {
        let is_fit = |c: char| c.is_ascii_graphic() && !never.contains(c);
        if name.is_empty() || name.len() > 128 || !name.chars().all(is_fit) {
            let expected = format!("a name of 1 to 128 visible ASCII characters, none of {never}");
            self.report.wrong(path, quote(name), expected);
        }
    }

    fn token_header(
        &mut self,
        path: &Path,
        name: &str,
        before: &[TokenLocation],
    ) -> Option<String> {
        const EXPECTED: &str =
            "a header name of letters, digits and hyphens, such as authorization";
        let Some(header) = plain_header_name(name) else {
            self.report.wrong(path, quote(name), EXPECTED);
            return None;
        };
        let is_taken = |other: &TokenLocation| match other {
            TokenLocation::Header(other) => *other.header == *header,
            TokenLocation::Cookie(_) | TokenLocation::Query(_) => false,
        };
        if header == "cookie" {
            self.report.wrong(
                path,
                quote(name),
                "the key cookie with the cookie's name, in place of header",
            );
        } else if NEVER_A_TOKEN.contains(&header.as_str()) {
            self.report.wrong(path, quote(name), "a header that HTTP does not need for itself");
        } else if before.iter().any(is_taken) {
            self.report.wrong(path, quote(name), "each header once");
        }
        Some(header)
    }

    fn token_prefix(&mut self, path: &Path, raw: Option<String>, header: &str) -> String {
        let is_authorization = header == "authorization" || header == "proxy-authorization";
        let Some(prefix) = raw else {
            return if is_authorization { HeaderLocation::bearer().prefix } else { String::new() };
        };
        let (word, is_scheme) = match prefix.strip_suffix(' ') {
            Some(scheme) => (scheme, !scheme.is_empty()),
            None => (prefix.as_str(), false),
        };
        let is_plain = word.chars().all(|c| c.is_ascii_graphic() && c != ',');
        if prefix.len() > 64 || !is_plain || (prefix.ends_with(' ') && !is_scheme) {
            let expected = "at most 64 visible ASCII characters without a comma, then one space if it is a scheme";
            self.report.wrong(path, quote(&prefix), expected);
        } else if is_authorization && !is_scheme {
            self.report.wrong(
                path,
                quote(&prefix),
                "a scheme followed by a space, such as \"Bearer \"",
            );
        }
        prefix
    }
}

/// Removing one of these from a request would change what it is.
const NEVER_A_TOKEN: [&str; 9] = [
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
