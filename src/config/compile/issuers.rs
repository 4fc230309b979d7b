//! `issuers`: whom to trust, for whom, signed how. Their keys are [`super::keys`]' part.

use std::time::Duration;

use super::Compiler;
use crate::config::raw::{RawIssuer, RawRequiredClaims};
use crate::config::report::{Path, quote, suggestion};
use crate::config::scalar::{List, Mapping, Text};
use crate::keys::key::{Algorithm, AlgorithmSet};
use crate::keys::source::SourceSettings;
use crate::token::{Audiences, Issuer, RequiredClaims};
use crate::util::label::Label;

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
            sources.extend(self.sources(&path, keys, &issuer));
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
        Issuer {
            label,
            issuer: raw.issuer.clone().unwrap_or_default(),
            audiences: self.audiences(&path.key("audiences"), raw.audiences.as_ref()),
            algorithms: self.algorithms(&path.key("algorithms"), raw.algorithms.as_ref()),
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

    fn algorithms(&mut self, path: &Path, raw: Option<&List<String>>) -> AlgorithmSet {
        let Some(List(list)) = raw else { return AlgorithmSet::from_iter([Algorithm::Rs256]) };
        let names = Algorithm::ALL.map(Algorithm::name);
        let expected = format!("one of {}", names.join(", "));
        self.not_empty(path, list.len(), &format!("at least {expected}"));
        let mut accepted = Vec::new();
        for (index, name) in list.iter().enumerate() {
            let (Some(name), path) = (name, path.index(index)) else { continue };
            let found = quote(name);
            match Algorithm::from_name(name) {
                Some(algorithm) => accepted.push(algorithm),
                None if name.eq_ignore_ascii_case("none") => {
                    let message = format!("{expected}: unsigned tokens are never accepted");
                    self.report.wrong(&path, found, message);
                }
                None if name.to_ascii_uppercase().starts_with("HS") => {
                    let message = format!(
                        "{expected}: with a shared secret whoever verifies could sign as well"
                    );
                    self.report.wrong(&path, found, message);
                }
                None => {
                    let suggestion = suggestion(name, names.into_iter());
                    self.report.wrong(&path, found, format!("{expected}{suggestion}"));
                }
            }
        }
        AlgorithmSet::from_iter(accepted)
    }

    fn required_claims(
        &mut self,
        path: &Path,
        raw: Option<&Mapping<RawRequiredClaims>>,
    ) -> RequiredClaims {
        let Some(Mapping(raw)) = raw else { return RequiredClaims::default() };
        let max_lifetime = raw.max_lifetime.map(|Text(lifetime)| lifetime);
        if max_lifetime.is_some_and(|lifetime| lifetime.is_zero()) {
            self.report.wrong(&path.key("max_lifetime"), "0", "a duration above 0, such as 24h");
        }
        let claims = raw.claims.as_ref().map(|List(list)| list.clone()).unwrap_or_default();
        let claims = self.strings(&path.key("claims"), claims);
        RequiredClaims { exp: raw.exp.unwrap_or(true), max_lifetime, claims }
    }
}
