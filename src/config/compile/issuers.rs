//! `issuers`: whom to trust, for whom, signed how. Their keys are [`super::keys`]' part.

use std::time::Duration;

use super::Compiler;
use crate::config::raw::{RawIssuer, RawRequiredClaims};
use crate::config::report::{Path, quote, suggestion};
use crate::config::scalar::{List, Mapping, Text};
use crate::keys::key::{Algorithm, AlgorithmSet};
use crate::keys::source::{HmacFile, SourceKind, SourceSettings};
use crate::keys::store::KeyKind;
use crate::token::{Audiences, Issuer, IssuerName, RequiredClaims, TenantPattern};
use crate::util::label::Label;

/// The one algorithm with a shared secret that can be accepted.
const HS256: &str = "HS256";

impl Compiler<'_> {
    pub(super) fn issuers(
        &mut self,
        path: &Path,
        raw: Option<List<Mapping<RawIssuer>>>,
    ) -> (Vec<Issuer>, Vec<SourceSettings>) {
        const EXPECTED: &str = "a list with at least one issuer";
        let Some(List(list)) = raw else {
            self.report.missing(path, EXPECTED);
            return (Vec::new(), Vec::new());
        };
        self.not_empty(path, list.len(), EXPECTED);
        let (mut issuers, mut sources) = (Vec::new(), Vec::new());
        let (mut names, mut urls) = (Vec::new(), Vec::new());
        for (index, raw) in list.into_iter().enumerate() {
            let Some(Mapping(raw)) = raw else { continue };
            let path = path.index(index);
            let name = self.name(&path.key("name"), raw.name.clone(), &mut names);
            self.issuer_url(&path.key("issuer"), raw.issuer.as_deref(), &mut urls);
            let issuer = self.issuer(&path, &raw, Label::new(index, &name));
            let keys = (raw.keys, raw.refresh);
            let of_issuer = self.sources(&path, keys, &issuer);
            self.check_key_kinds(&path, &issuer, &of_issuer);
            sources.extend(of_issuer);
            issuers.push(issuer);
        }
        (issuers, sources)
    }

    fn issuer(&mut self, path: &Path, raw: &RawIssuer, label: Label) -> Issuer {
        const MOST_SKEW: Duration = Duration::from_secs(10 * 60);
        let clock_skew = raw.clock_skew.map_or(Duration::from_secs(30), |Text(skew)| skew);
        if clock_skew > MOST_SKEW {
            let found = format!("{}s", clock_skew.as_secs());
            self.report.wrong(&path.key("clock_skew"), found, "at most 10m");
        }
        let (algorithms, danger_accept_hs256) = self.algorithms(path, raw);
        Issuer {
            label,
            issuer: self.issuer_name(path, raw),
            audiences: self.audiences(&path.key("audiences"), raw.audiences.as_ref()),
            audience_claim: self.audience_claim(&path.key("audience_claim"), raw),
            algorithms,
            danger_accept_hs256,
            clock_skew,
            require: self.required_claims(&path.key("require"), raw.require.as_ref()),
        }
    }

    fn issuer_url(&mut self, path: &Path, issuer: Option<&str>, taken: &mut Vec<String>) {
        const EXPECTED: &str =
            "the exact \"iss\" of the tokens, such as https://accounts.example.com";
        match issuer {
            None => self.report.missing(path, EXPECTED),
            Some("") => self.report.wrong(path, "an empty string", EXPECTED),
            Some(issuer) if taken.iter().any(|other| other == issuer) => {
                self.report.wrong(path, quote(issuer), "an \"iss\" that no other issuer has");
            }
            Some(issuer) => taken.push(issuer.to_owned()),
        }
    }

    fn issuer_name(&mut self, path: &Path, raw: &RawIssuer) -> IssuerName {
        let text = raw.issuer.clone().unwrap_or_default();
        let parts = text.split_once(TenantPattern::PLACEHOLDER);
        let Some(List(list)) = &raw.tenants else {
            if parts.is_some() {
                let expected = "tenants with the list of those that are trusted, since the issuer has {tenant} in it";
                self.report.missing(&path.key("tenants"), expected);
            } else if raw.tenant_claim.is_some() {
                let expected = "no such key without tenants";
                self.report.wrong(&path.key("tenant_claim"), "a claim", expected);
            }
            return IssuerName::Exact(text);
        };
        let tenants_path = path.key("tenants");
        self.not_empty(&tenants_path, list.len(), "at least one tenant");
        let tenants = self.strings(&tenants_path, list.clone());
        let claim = raw.tenant_claim.clone().unwrap_or_else(|| "tid".to_owned());
        if claim.is_empty() {
            let expected = "the name of a claim, such as tid";
            self.report.wrong(&path.key("tenant_claim"), "an empty string", expected);
        }
        let Some((prefix, suffix)) = parts.filter(|(_, rest)| !rest.contains(['{', '}'])) else {
            let expected = "an \"iss\" with one {tenant} in it, such as https://login.example.com/{tenant}/v2.0";
            if raw.issuer.is_some() {
                self.report.wrong(&path.key("issuer"), quote(&text), expected);
            }
            return IssuerName::Exact(text);
        };
        IssuerName::Tenants(TenantPattern {
            prefix: prefix.to_owned(),
            suffix: suffix.to_owned(),
            tenants: tenants.into_iter().collect(),
            claim,
        })
    }

    fn audiences(&mut self, path: &Path, raw: Option<&List<String>>) -> Audiences {
        const EXPECTED: &str =
            "at least one audience (only profile: development may leave them out)";
        match raw {
            Some(List(list)) => {
                self.not_empty(path, list.len(), EXPECTED);
                Audiences::AnyOf(self.strings(path, list.clone()))
            }
            None => {
                if self.is_production() {
                    self.report.missing(path, EXPECTED);
                }
                Audiences::DangerNotChecked
            }
        }
    }

    /// `None`: `aud`.
    fn audience_claim(&mut self, path: &Path, raw: &RawIssuer) -> Option<String> {
        const EXPECTED: &str = "the name of a claim that says for which client or service a token is, such as client_id";
        // RFC 7519 §4.1: what each of these says is something else.
        const OTHERS: [&str; 6] = ["iss", "sub", "exp", "nbf", "iat", "jti"];
        let claim = raw.audience_claim.as_deref()?;
        if claim.is_empty() || OTHERS.contains(&claim) {
            self.report.wrong(path, quote(claim), EXPECTED);
        }
        (claim != "aud").then(|| claim.to_owned())
    }

    /// The public-key algorithms, and whether HS256 is among the others.
    fn algorithms(&mut self, issuer: &Path, raw: &RawIssuer) -> (AlgorithmSet, bool) {
        let (path, danger) = (issuer.key("algorithms"), raw.danger_accept_hs256);
        let lists_hs256 =
            matches!(&raw.algorithms, Some(List(list)) if list.contains(&Some(HS256.to_owned())));
        if danger == Some(true) && !lists_hs256 {
            let expected = "HS256 in this issuer's algorithms, or no such key";
            self.report.wrong(&issuer.key("danger_accept_hs256"), true, expected);
        }
        let Some(List(list)) = &raw.algorithms else {
            return (AlgorithmSet::from_iter([Algorithm::Rs256]), false);
        };
        let names = Algorithm::ALL.map(Algorithm::name);
        let expected = format!("one of {}", names.join(", "));
        self.not_empty(&path, list.len(), &format!("at least {expected}"));
        let mut accepted = Vec::new();
        for (index, name) in list.iter().enumerate() {
            let (Some(name), path) = (name, path.index(index)) else { continue };
            let found = quote(name);
            match Algorithm::from_name(name) {
                Some(algorithm) => accepted.push(algorithm),
                None if name == HS256 => {
                    // Said in so many words or not at all: development needs no permission, but obeys a "false".
                    if !danger.unwrap_or_else(|| !self.is_production()) {
                        let message = format!(
                            "{expected}: with a shared secret whoever verifies could sign as well (accepted with \
                             danger_accept_hs256: true on this issuer, or without it in profile: development)"
                        );
                        self.report.wrong(&path, found, message);
                    }
                }
                None if name.eq_ignore_ascii_case("none") => {
                    let message = format!("{expected}: unsigned tokens are never accepted");
                    self.report.wrong(&path, found, message);
                }
                None if name.to_ascii_uppercase().starts_with("HS") => {
                    let message = format!(
                        "{expected}: of the algorithms with a shared secret only HS256 is ever accepted"
                    );
                    self.report.wrong(&path, found, message);
                }
                None => {
                    let suggestion = suggestion(name, names.into_iter());
                    self.report.wrong(&path, found, format!("{expected}{suggestion}"));
                }
            }
        }
        (AlgorithmSet::from_iter(accepted), lists_hs256)
    }

    /// Each way to sign needs keys of its own kind: a mismatch would refuse every token, or wait for keys that
    /// nobody would look at.
    fn check_key_kinds(&mut self, issuer_path: &Path, issuer: &Issuer, sources: &[SourceSettings]) {
        let path = issuer_path.key("keys");
        // What was wrong with a source or an algorithm may be all that is wrong here.
        if self.report.has_below(&path) || self.report.has_below(&issuer_path.key("algorithms")) {
            return;
        }
        let names: Vec<&str> = issuer.algorithms.iter().map(|one| one.name()).collect();
        let names = names.join(", ");
        let mut kids = Vec::new();
        for source in sources {
            let path = &path.index(source.id.source.index());
            match source.kind.holds() {
                KeyKind::Hmac if !issuer.danger_accept_hs256 => {
                    let expected =
                        format!("a source of public keys for {names}, or HS256 in algorithms too");
                    self.report.wrong(&path.key("hmac_file"), "a shared secret", expected);
                }
                KeyKind::Public if issuer.algorithms.is_empty() => {
                    let expected = "hmac_file, since algorithms lists HS256 alone";
                    self.report.wrong(path, "a source of public keys", expected);
                }
                KeyKind::Hmac | KeyKind::Public => {}
            }
            if let SourceKind::Hmac(HmacFile { kid, .. }) = &source.kind {
                // Of two secrets by one name neither would be used.
                if kids.contains(&kid) {
                    let found = kid.as_deref().map_or_else(|| "none".to_owned(), quote);
                    let expected = "a kid that no other hmac_file of this issuer has";
                    self.report.wrong(&path.key("kid"), found, expected);
                }
                kids.push(kid);
            }
        }
        if self.report.has_below(&path) {
            return;
        }
        let has = |kind| sources.iter().any(|source| source.kind.holds() == kind);
        if issuer.danger_accept_hs256 && !has(KeyKind::Hmac) {
            let expected = "one with hmac_file too, since algorithms lists HS256";
            self.report.wrong(&path, "no hmac_file", expected);
        }
        if !issuer.algorithms.is_empty() && !has(KeyKind::Public) {
            let expected = format!("one with public keys too, since algorithms lists {names}");
            self.report.wrong(&path, "no source of public keys", expected);
        }
    }

    fn required_claims(
        &mut self,
        path: &Path,
        raw: Option<&Mapping<RawRequiredClaims>>,
    ) -> RequiredClaims {
        let Some(Mapping(raw)) = raw else { return RequiredClaims::default() };
        let mut above_zero = |key: &str, given: Option<Text<Duration>>| {
            let limit = given.map(|Text(limit)| limit);
            if limit.is_some_and(|limit| limit.is_zero()) {
                self.report.wrong(&path.key(key), "0", "a duration above 0, such as 24h");
            }
            limit
        };
        let max_age = above_zero("max_age", raw.max_age);
        let max_lifetime = above_zero("max_lifetime", raw.max_lifetime);
        let exp = raw.exp.unwrap_or(true);
        if !exp && max_lifetime.is_some() {
            let expected = "true, since max_lifetime says how long a token may live";
            self.report.wrong(&path.key("exp"), "false", expected);
        }
        let claims = raw.claims.as_ref().map(|List(list)| list.clone()).unwrap_or_default();
        let claims = self.strings(&path.key("claims"), claims);
        RequiredClaims { exp, max_age, max_lifetime, claims }
    }
}
