//! `require`: what tokens must prove for a rule.

use serde_json::Value;

use super::Compiler;
use crate::check::cel::Expression;
use crate::check::pattern::TextPattern;
use crate::check::requirement::{ClaimCondition, ClaimTest, Requirement, Scalar, TokenRequirement};
use crate::config::raw::{CLAIM_TESTS, RawClaimCondition, RawRequirement, RawTextPattern};
use crate::config::report::{Path, describe, quote, suggestion};
use crate::config::scalar::{List, Mapping};
use crate::token::{Audiences, Issuer};
use crate::util::label::Label;

const SCALAR: &str = "a string, a whole number, true or false";

impl Compiler<'_> {
    /// A whole `require`. `None` when there is a mistake in it, which has been said.
    pub(super) fn requirement(
        &mut self,
        path: &Path,
        raw: RawRequirement,
        issuers: &[Issuer],
    ) -> Option<Requirement> {
        let ways = [raw.any_of.is_some(), raw.all_of.is_some(), has_own_conditions(&raw)];
        match ways.into_iter().filter(|given| *given).count() {
            0 => {
                if !self.report.has_in(path) {
                    let expected = "issuer with conditions on its tokens, or any_of or all_of with a list of such";
                    self.report.missing(path, expected);
                }
                return None;
            }
            1 => {}
            _ => {
                let expected = "one of any_of, all_of and conditions of its own: all_of: [{any_of: …}, {scopes: …}] joins them";
                self.report.wrong(path, "more than one of them", expected);
                return None;
            }
        }
        if let Some(List(list)) = raw.any_of {
            return self.requirements(&path.key("any_of"), list, issuers).map(Requirement::AnyOf);
        }
        if let Some(List(list)) = raw.all_of {
            return self.requirements(&path.key("all_of"), list, issuers).map(Requirement::AllOf);
        }
        self.token_requirement(path, raw, issuers).map(Requirement::Token)
    }

    /// With several tokens a part that names no issuer could be met by somebody else's token.
    pub(super) fn check_several(&mut self, path: &Path, requirement: &Requirement) {
        if requirement.leaves().iter().any(|one| one.issuer.is_none()) {
            let expected = "an issuer in every part, with all_tokens: verify";
            self.report.wrong(path, "a part without an issuer", expected);
        }
    }

    fn requirements(
        &mut self,
        path: &Path,
        list: Vec<Option<Mapping<RawRequirement>>>,
        issuers: &[Issuer],
    ) -> Option<Vec<Requirement>> {
        self.not_empty(path, list.len(), "at least one {issuer: …}");
        let length = list.len();
        let mut compiled = Vec::with_capacity(length);
        for (index, raw) in list.into_iter().enumerate() {
            let Some(Mapping(raw)) = raw else { continue };
            let path = path.index(index);
            if raw.optional.is_some() {
                let expected = "no such key here: it is said once, directly in require";
                self.report.wrong(&path.key("optional"), "a value", expected);
            }
            compiled.extend(self.requirement(&path, raw, issuers));
        }
        (length > 0 && compiled.len() == length).then_some(compiled)
    }

    fn token_requirement(
        &mut self,
        path: &Path,
        raw: RawRequirement,
        issuers: &[Issuer],
    ) -> Option<TokenRequirement> {
        let issuer = match &raw.issuer {
            None => None,
            Some(name) => Some(self.known_issuer(&path.key("issuer"), name, issuers)?),
        };
        let audiences = raw.audiences.map(|list| {
            let path = path.key("audiences");
            Audiences::AnyOf(self.some_strings(&path, list, "at least one audience"))
        });
        let mut subjects = Vec::new();
        if let Some(List(list)) = raw.subjects {
            let path = path.key("subjects");
            self.not_empty(&path, list.len(), "at least one subject");
            for (index, raw) in list.into_iter().enumerate() {
                let Some(raw) = raw else { continue };
                subjects.extend(self.text_pattern(&path.index(index), raw));
            }
        }
        let scopes = self.scopes(&path.key("scopes"), raw.scopes);
        let any_scope = self.scopes(&path.key("any_scope"), raw.any_scope);
        let mut claims = Vec::new();
        if let Some(list) = raw.roles {
            let roles = self.some_strings(&path.key("roles"), list, "at least one role");
            let roles = roles.into_iter().map(Scalar::Text).collect();
            let test = ClaimTest::ContainsAll(roles);
            claims.push(ClaimCondition { claim: vec!["roles".to_owned()], test });
        }
        if let Some(List(list)) = raw.claims {
            let path = path.key("claims");
            self.not_empty(&path, list.len(), "at least one condition on a claim");
            for (index, raw) in list.into_iter().enumerate() {
                let Some(Mapping(raw)) = raw else { continue };
                claims.extend(self.claim_condition(&path.index(index), raw));
            }
        }
        let when = raw.when.and_then(|source| match Expression::compile(&source) {
            Ok(expression) => Some(expression),
            Err(error) => {
                let expected = format!("a condition in CEL ({error})");
                self.report.wrong(&path.key("when"), quote(&source), expected);
                None
            }
        });
        Some(TokenRequirement { issuer, audiences, subjects, scopes, any_scope, claims, when })
    }

    fn known_issuer(&mut self, path: &Path, name: &str, issuers: &[Issuer]) -> Option<Label> {
        let known = || issuers.iter().map(|issuer| issuer.label.name());
        if let Some(issuer) = issuers.iter().find(|issuer| issuer.label.name() == name) {
            return Some(issuer.label.clone());
        }
        // Where names are missing, that has been said.
        if !issuers.is_empty() && known().all(|name| !name.is_empty()) {
            let names: Vec<&str> = known().collect();
            let suggestion = suggestion(name, known());
            let expected = format!("the name of an issuer: {}{suggestion}", names.join(", "));
            self.report.wrong(path, quote(name), expected);
        }
        None
    }

    fn some_strings(&mut self, path: &Path, list: List<String>, expected: &str) -> Vec<String> {
        self.not_empty(path, list.0.len(), expected);
        self.strings(path, list.0)
    }

    fn scopes(&mut self, path: &Path, raw: Option<List<String>>) -> Vec<String> {
        let Some(list) = raw else { return Vec::new() };
        let scopes = self.some_strings(path, list, "at least one scope");
        for (index, scope) in scopes.iter().enumerate() {
            // RFC 6749 §3.3: such a scope would never be found.
            if !scope.chars().all(|c| c.is_ascii_graphic() && !"\"\\".contains(c)) {
                let expected = "one scope: visible ASCII without space, quote and backslash";
                self.report.wrong(&path.index(index), quote(scope), expected);
            }
        }
        scopes
    }

    fn text_pattern(&mut self, path: &Path, raw: RawTextPattern) -> Option<TextPattern> {
        let form = match raw {
            RawTextPattern::Exact(exact) if exact.is_empty() => {
                self.report.wrong(path, "an empty string", RawTextPattern::EXPECTED);
                return None;
            }
            RawTextPattern::Exact(exact) => return Some(TextPattern::Exact(exact.into())),
            RawTextPattern::Form(form) => form,
        };
        let pattern = match (form.prefix, form.suffix, form.regex) {
            (Some(prefix), None, None) if !prefix.is_empty() => TextPattern::Prefix(prefix.into()),
            (None, Some(suffix), None) if !suffix.is_empty() => TextPattern::Suffix(suffix.into()),
            (None, None, Some(expression)) => return self.regex(&path.key("regex"), &expression),
            (_, _, _) => {
                if !self.report.has_below(path) {
                    self.report.wrong(path, "none of them, or several", RawTextPattern::EXPECTED);
                }
                return None;
            }
        };
        Some(pattern)
    }

    fn claim_condition(&mut self, path: &Path, raw: RawClaimCondition) -> Option<ClaimCondition> {
        let claim = self.claim_path(&path.key("claim"), raw.claim);
        let given = [
            raw.equals.is_some(),
            raw.one_of.is_some(),
            raw.contains.is_some(),
            raw.contains_all.is_some(),
            raw.contains_any.is_some(),
            raw.exists.is_some(),
            raw.matches.is_some(),
        ];
        if given.into_iter().filter(|given| *given).count() != 1 {
            if !self.report.has_in(path) {
                let expected = format!("exactly one of {}", CLAIM_TESTS.join(", "));
                self.report.wrong(path, "none of them, or several", expected);
            }
            return None;
        }
        let key = |name: &str| path.key(name);
        let test = if let Some(value) = raw.equals {
            ClaimTest::Equals(self.scalar(&key("equals"), &value)?)
        } else if let Some(list) = raw.one_of {
            ClaimTest::OneOf(self.scalars(&key("one_of"), &list)?)
        } else if let Some(value) = raw.contains {
            ClaimTest::Contains(self.scalar(&key("contains"), &value)?)
        } else if let Some(list) = raw.contains_all {
            ClaimTest::ContainsAll(self.scalars(&key("contains_all"), &list)?)
        } else if let Some(list) = raw.contains_any {
            ClaimTest::ContainsAny(self.scalars(&key("contains_any"), &list)?)
        } else if let Some(expression) = raw.matches {
            ClaimTest::Matches(self.regex(&key("matches"), &expression)?)
        } else {
            ClaimTest::Exists(raw.exists?)
        };
        Some(ClaimCondition { claim: claim?, test })
    }

    fn scalars(&mut self, path: &Path, list: &[Value]) -> Option<Vec<Scalar>> {
        self.not_empty(path, list.len(), "at least one value");
        let each = list.iter().enumerate();
        let values: Vec<Scalar> =
            each.filter_map(|(index, value)| self.scalar(&path.index(index), value)).collect();
        (!values.is_empty() && values.len() == list.len()).then_some(values)
    }

    fn scalar(&mut self, path: &Path, value: &Value) -> Option<Scalar> {
        match value {
            Value::String(text) => Some(Scalar::Text(text.clone())),
            Value::Bool(flag) => Some(Scalar::Bool(*flag)),
            Value::Number(number) if number.is_i64() => number.as_i64().map(Scalar::Integer),
            Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                if !self.report.has(path) {
                    self.report.wrong(path, describe(path, value), SCALAR);
                }
                None
            }
        }
    }
}

fn has_own_conditions(raw: &RawRequirement) -> bool {
    raw.issuer.is_some()
        || raw.audiences.is_some()
        || raw.subjects.is_some()
        || raw.scopes.is_some()
        || raw.any_scope.is_some()
        || raw.roles.is_some()
        || raw.claims.is_some()
        || raw.when.is_some()
}
