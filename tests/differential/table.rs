//! The differences that are meant, each with its reason. The list is closed: a difference that is not in it fails the test,
//! and so does a row that no case shows any more, or shows with the other side as the stricter one.

/// Who lets less through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stricter {
    Claimgate,
    JwtAuthn,
    /// Each refuses what the other lets through.
    Both,
    /// Neither: they refuse with another status, or tell the upstream in another way.
    Neither,
}

pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) stricter: Stricter,
    /// What `jwt_authn` does.
    pub(crate) jwt_authn: &'static str,
    /// What claimgate does, and why.
    pub(crate) claimgate: &'static str,
}

use self::Stricter::{Claimgate, JwtAuthn, Neither};

pub(crate) const TABLE: &[Row] = &[
    // Time.
    row("default-skew", Claimgate, "60 s unless configured, and never 0", "30 s unless configured"),
    row(
        "exp-default",
        Claimgate,
        "a token may lack exp unless require_expiration",
        "require.exp is on",
    ),
    row("exp-zero", Claimgate, "exp 0 means never", "1970, which has passed (RFC 7519 §4.1.4)"),
    row(
        "iat-future",
        Claimgate,
        "iat is not looked at",
        "a token from the future is not valid yet",
    ),
    row(
        "max-lifetime",
        Claimgate,
        "max_lifetime is what is left of a token's life at most",
        "from iat to exp, the whole of it",
    ),
    row(
        "time-before-1970",
        JwtAuthn,
        "a negative nbf or iat is refused",
        "it is a date in the past",
    ),
    row(
        "time-too-large",
        Claimgate,
        "an exp or iat of 2^63 is taken",
        "what is no date is malformed",
    ),
    // Algorithms and signatures.
    row(
        "alg-of-the-header",
        Claimgate,
        "for a JWK without alg the header's alg need not fit the key's type",
        "it must (RFC 8725 §3.1)",
    ),
    row(
        "long-ecdsa-signature",
        Claimgate,
        "octets behind an ECDSA signature are part of s",
        "its length is fixed (RFC 7518 §3.4), so that a token has one spelling",
    ),
    // Keys.
    row(
        "unfit-key",
        Claimgate,
        "use, key_ops and the form of base64url are not looked at",
        "a key that is not for verifying, or not written as it should be, is skipped",
    ),
    row("weak-rsa", Claimgate, "any RSA key", "at least 2048 bits, e of at least 65537"),
    row(
        "key-without-kid",
        Claimgate,
        "a key without kid is tried for every token",
        "a kid that is not published is unknown, and is fetched for",
    ),
    row(
        "which-key",
        Claimgate,
        "tries every key that could be meant",
        "without a kid, or with one kid for two keys, only if no other key could be meant",
    ),
    row("empty-kid", Claimgate, "an empty kid is none", "malformed"),
    row(
        "rotated-key",
        JwtAuthn,
        "a kid that is not in the cached set is refused until cache_duration is over",
        "is fetched for, once",
    ),
    row(
        "provider-outage",
        JwtAuthn,
        "without async_fetch nothing passes once the cached set is too old",
        "the last good keys stay in force, for max_stale",
    ),
    row(
        "withdrawn-key",
        Claimgate,
        "the token cache does not ask whether the key is still published",
        "a withdrawn key's tokens are refused at once",
    ),
    // Form.
    row("extra-dots", Claimgate, "empty segments are skipped", "three segments (RFC 7515 §7.1)"),
    row("base64url", Claimgate, "padding and spare bits are taken", "one spelling (RFC 7515 §2)"),
    row(
        "lenient-json",
        Claimgate,
        "trailing commas, single quotes, bare names and raw controls are taken",
        "JSON (RFC 8259)",
    ),
    row(
        "unread-header-member",
        JwtAuthn,
        "a lone surrogate anywhere in the header is refused",
        "members of the header that it has no use for are not looked into",
    ),
    row(
        "crit",
        Claimgate,
        "crit and b64 are not looked at",
        "what must be understood and is not is refused (RFC 7515 §4.1.11, RFC 7797 §6)",
    ),
    row(
        "typ",
        Claimgate,
        "typ is not looked at",
        "JWT and at+jwt, nothing made for another purpose (RFC 8725 §3.11)",
    ),
    row(
        "size",
        Claimgate,
        "as large as Envoy lets headers be",
        "limits.token_bytes, 16 KiB by default",
    ),
    row("depth", Claimgate, "a hundred levels of JSON", "32"),
    // Registered claims.
    row(
        "audience-status",
        Neither,
        "403 for a wrong audience",
        "401, the token is not one for this service (RFC 6750 §3.1)",
    ),
    row(
        "audience-normalised",
        Claimgate,
        "http(s):// and a slash at the end do not count",
        "audiences are compared as they are (RFC 7519 §4.1.3)",
    ),
    row(
        "other-issuer",
        Neither,
        "a token of another issuer is unknown, 401",
        "it is verified, and does not do for the rule, 403",
    ),
    row(
        "subject-status",
        Neither,
        "401 for a subject that does not do",
        "403, the caller is known",
    ),
    // Where the token stands.
    row("scheme-case", JwtAuthn, "Bearer in this case only", "in any (RFC 9110 §11.1)"),
    row(
        "spaces-over-http2",
        Claimgate,
        "spaces around a field's value are taken off, which RFC 9113 §8.2.1 says cannot be there",
        "no token, or a malformed one",
    ),
    row(
        "scheme-alone",
        Claimgate,
        "a scheme without a token is no token",
        "malformed, also where a token is optional",
    ),
    row("prefix-anywhere", Claimgate, "the prefix may stand anywhere in the value", "at its start"),
    row(
        "prefix-and-spaces",
        Claimgate,
        "spaces behind a prefix that is no scheme are skipped",
        "the token follows at once",
    ),
    row(
        "several-tokens",
        Claimgate,
        "with tokens in two places both are verified and their claims are added up, of two \
         headers the first may count",
        "two tokens are none",
    ),
    row(
        "query-by-default",
        Claimgate,
        "?access_token= is looked at unless locations are configured",
        "only where it is configured, since URLs end up in logs",
    ),
    row(
        "query-rewritten",
        Neither,
        "where a token is taken out of the query the other parameters are written anew, \
         unescaped: a=1%26admin%3Dtrue arrives as a=1&admin=true",
        "what it does not take stays as it was",
    ),
    row(
        "query-space",
        JwtAuthn,
        "the same with %20 makes a request line with a space in it, which the upstream \
         refuses",
        "what it does not take stays as it was",
    ),
    row(
        "cookie-removed",
        Neither,
        "a token in a cookie goes on to the upstream",
        "it is taken out of the cookies, unless keep_token",
    ),
    row(
        "challenge",
        Neither,
        "WWW-Authenticate repeats the URL, and with it a token that was in the query",
        "an answer is made of constants",
    ),
    // Rules.
    row("no-rule", Claimgate, "what no rule is about passes", "it is denied"),
    row(
        "prefix",
        Claimgate,
        "/public opens /publicity as well (path_separated_prefix does not)",
        "a prefix ends where a segment does",
    ),
    row(
        "path-readings",
        Claimgate,
        "a path that servers read in two ways is matched as it is written",
        "it must satisfy each reading; equal behind the connection manager's normalisation",
    ),
    row(
        "open-route-token",
        Neither,
        "where no token is needed the client's goes on to the upstream",
        "it is removed everywhere, unless keep_token",
    ),
    row(
        "preflight-lookalike",
        Claimgate,
        "OPTIONS with Origin and Access-Control-Request-Method is a preflight",
        "with one of each, and no body",
    ),
    row(
        "all-of-status",
        Neither,
        "401 where one of several tokens is missing",
        "403, who sent the others is known",
    ),
    row(
        "all-of-places",
        JwtAuthn,
        "each provider has places of its own",
        "a rule has them, whoever signed what stands there",
    ),
    row(
        "all-of-whose",
        Neither,
        "of several providers the claims of the last are forwarded",
        "those of the first token",
    ),
    row(
        "two-people",
        Claimgate,
        "requires_all takes the tokens of two people",
        "all of them name the same subject",
    ),
    row(
        "failed-token",
        Neither,
        "allow_missing_or_failed leaves a bad token in the request",
        "mode: shadow takes it away as well",
    ),
    // What goes on.
    row(
        "number-text",
        Neither,
        "a double: -7.000000, 1.5 as 1.500000, 2^53+1 as 2^53",
        "the text that was signed",
    ),
    row(
        "number-range",
        JwtAuthn,
        "a number that no double holds is refused",
        "the text that was signed",
    ),
    row(
        "text",
        Neither,
        "raw UTF-8, and spaces that the next hop trims",
        "RFC 8187 for what a header cannot hold, and for a string that would read like a list",
    ),
    row("control-characters", Claimgate, "most are a 503, tab and C1 go through", "401, malformed"),
    row(
        "structure",
        Neither,
        "arrays and objects are base64 of their JSON",
        "a joined list, or the JSON",
    ),
    row(
        "json-text",
        Neither,
        "JSON in base64 is written anew: members in any order, numbers doubles",
        "members in their order, numbers as they were signed, beyond ASCII escaped",
    ),
    row(
        "array-unseparable",
        Claimgate,
        "base64",
        "a list that cannot be taken apart again is refused, unless format: json",
    ),
    row(
        "header-bytes",
        Claimgate,
        "as much as Envoy takes",
        "limits.header_bytes, 8 KiB by default",
    ),
    row(
        "spelling",
        Neither,
        "x_jwt_sub and x.jwt.sub go through, which CGI reads as x-jwt-sub",
        "every spelling of its headers is removed",
    ),
    row(
        "reserved",
        Neither,
        "only headers that a provider sets are removed",
        "all that begin with a reserved prefix",
    ),
];

const fn row(
    name: &'static str,
    stricter: Stricter,
    jwt_authn: &'static str,
    claimgate: &'static str,
) -> Row {
    Row { name, stricter, jwt_authn, claimgate }
}
