//! What Envoy's other filters and its access log get to know of a decision: dynamic metadata in the namespace
//! `envoy.filters.http.ext_authz`. [`super::answer`] puts it into the answer.
//!
//! | key | when | value |
//! | --- | --- | --- |
//! | `reason` | denied | the word of the metric |
//! | `would_deny` | a shadow rule refused | the same word |
//! | `rule`, `issuer` | known | their names |
//! | `claims` | allowed with a token | the claims, as they were signed; what is nested deeper than 16 levels as JSON text |
//! | `header` | allowed with a token | `alg`, and `kid` and `typ` if there |
//! | `scopes` | allowed with a token | a list, whichever claim they came from |
//!
//! The last three only under `forward.metadata`. `%DYNAMIC_METADATA(envoy.filters.http.ext_authz:reason)%` shows one.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_types::{ListValue, Struct, Value, value::Kind};

use crate::check::requirement::Scopes;
use crate::check::{Allowance, Decision, Denial};
use crate::token::VerifiedToken;
use crate::util::json::View;
use crate::util::label::Label;

/// The metadata of a denial.
pub(super) fn of_denial(denial: &Denial) -> Struct {
    let mut fields = vec![("reason", text(denial.reason.as_str()))];
    fields.extend(named("rule", denial.rule.as_ref()));
    fields.extend(named("issuer", denial.issuer.as_ref()));
    structure(fields)
}

/// The metadata of a request that passes: what the token says, written once, and the rest. Both empty when there is
/// nothing to tell.
pub(super) fn of_allowance(allowance: &Allowance) -> (&[u8], Vec<u8>) {
    let token = allowance.token.as_deref().zip(allowance.mutations.token.as_deref());
    let token = token.and_then(|(token, headers)| {
        let encoded = headers.encoded_metadata.as_deref()?;
        Some(&**encoded.get_or_init(|| of_token(token).encode_to_vec().into()))
    });
    let rest = of_passing(allowance).map(|rest| rest.encode_to_vec());
    (token.unwrap_or_default(), rest.unwrap_or_default())
}

/// The keys of what is told with `decision`.
pub(super) fn keys(decision: &Decision) -> Vec<String> {
    let told = match decision {
        Decision::Allow(allowance) => {
            let token = allowance.token.as_ref().filter(|_| allowance.tells_claims());
            [token.map(|token| of_token(token)), of_passing(allowance)]
        }
        Decision::Deny(denial) => [Some(of_denial(denial)), None],
    };
    let keys: BTreeSet<String> =
        told.into_iter().flatten().flat_map(|told| told.fields.into_keys()).collect();
    keys.into_iter().collect()
}

fn of_token(token: &VerifiedToken) -> Struct {
    let mut fields = vec![("issuer", text(token.issuer().name())), ("header", header(token))];
    let scopes = Scopes::of(token.claims());
    fields.push(("scopes", list(scopes.iter().map(text))));
    let claims = token.claims().iter().map(|(name, claim)| (name, value(claim, MAX_LEVELS)));
    fields.push(("claims", Value { kind: Some(Kind::StructValue(structure(claims))) }));
    structure(fields)
}

/// What does not follow from the token.
fn of_passing(allowance: &Allowance) -> Option<Struct> {
    let mut fields = Vec::new();
    if let Some(denial) = &allowance.would_deny {
        fields.push(("would_deny", text(denial.reason.as_str())));
        fields.extend(named("issuer", denial.issuer.as_ref()));
    }
    if fields.is_empty() && !allowance.tells_claims() {
        return None;
    }
    fields.extend(named("rule", allowance.rule.as_ref()));
    Some(structure(fields))
}

fn header(token: &VerifiedToken) -> Value {
    let mut fields = vec![("alg", text(token.signed_with().name()))];
    fields.extend(token.kid().map(|kid| ("kid", text(kid))));
    fields.extend(token.typ().map(|typ| ("typ", text(typ))));
    Value { kind: Some(Kind::StructValue(structure(fields))) }
}

/// What is nested deeper is told as its JSON text. A level of JSON takes up to three of protobuf, of which Envoy reads a
/// hundred; an answer that it cannot read is an error to it and no denial, and so may be taken for "allow".
const MAX_LEVELS: usize = 16;

/// A number that a double cannot hold is the text that was signed: another number would be worse.
fn value(claim: View<'_>, levels: usize) -> Value {
    let inner = levels.saturating_sub(1);
    match claim {
        View::Array(_) | View::Object(_) if levels == 0 => {
            let mut written = String::new();
            claim.write_json(&mut written);
            text(&written)
        }
        View::Null => Value { kind: Some(Kind::NullValue(0)) },
        View::Bool(flag) => Value { kind: Some(Kind::BoolValue(flag)) },
        View::Number(number) => {
            let kind = match exact(number) {
                Some(double) => Kind::NumberValue(double),
                None => Kind::StringValue(number.to_string()),
            };
            Value { kind: Some(kind) }
        }
        View::String(content) => text(content),
        View::Array(elements) => list(elements.elements().map(|element| value(element, inner))),
        View::Object(members) => {
            let members = members.members().map(|(name, member)| (name, value(member, inner)));
            Value { kind: Some(Kind::StructValue(structure(members))) }
        }
    }
}

/// The double that is the number written here. Of fractions every text stands for its nearest double, which is what
/// whoever wrote it had; of whole numbers beyond 2^53 not every one has a double.
fn exact(number: &str) -> Option<f64> {
    const MOST: u64 = 1 << 53;
    if let Ok(whole) = number.parse::<i64>() {
        // Lossless: within 53 bits.
        return (whole.unsigned_abs() <= MOST).then_some(whole as f64);
    }
    let double: f64 = number.parse().ok()?;
    let is_whole = !number.contains(['.', 'e', 'E']);
    (double.is_finite() && !is_whole && double.abs() <= MOST as f64).then_some(double)
}

fn text(text: &str) -> Value {
    Value { kind: Some(Kind::StringValue(text.to_owned())) }
}

fn list(values: impl Iterator<Item = Value>) -> Value {
    Value { kind: Some(Kind::ListValue(ListValue { values: values.collect() })) }
}

fn named(key: &'static str, label: Option<&Label>) -> Option<(&'static str, Value)> {
    label.map(|label| (key, text(label.name())))
}

fn structure<'a>(fields: impl IntoIterator<Item = (&'a str, Value)>) -> Struct {
    Struct { fields: fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::envoy::service::auth::v3::CheckResponse;
    use crate::util::json::{Document, MAX_DEPTH, RawMembers};

    #[test]
    fn a_number_is_exact_or_its_own_text() {
        for (number, double) in [
            ("0", Some(0.0)),
            ("-7", Some(-7.0)),
            ("1.5", Some(1.5)),
            ("1e3", Some(1000.0)),
            ("9007199254740992", Some(9_007_199_254_740_992.0)),
            ("9007199254740993", None),
            ("-9007199254740993", None),
            ("99999999999999999999", None),
            ("1e400", None),
            ("1e300", None),
        ] {
            assert_eq!(exact(number), double, "{number}");
        }
    }

    fn claim(text: &str) -> Document {
        let document = format!("{{\"deep\":{text}}}");
        Document::parse(&RawMembers::parse(document.as_bytes()).unwrap()).unwrap()
    }

    /// The answer with this claim in it, written and read again.
    fn told(claim: &Document) -> Result<Value, prost::DecodeError> {
        let claim = claim.members().get("deep").unwrap();
        let claims = structure([("deep", value(claim, MAX_LEVELS))]);
        let claims = Value { kind: Some(Kind::StructValue(claims)) };
        let dynamic_metadata = Some(structure([("claims", claims)]));
        let answer = CheckResponse { dynamic_metadata, ..CheckResponse::default() };
        let read = CheckResponse::decode(answer.encode_to_vec().as_slice())?;
        assert_eq!(read, answer);
        let mut fields = read.dynamic_metadata.unwrap().fields;
        let Some(Kind::StructValue(mut claims)) = fields.remove("claims").unwrap().kind else {
            panic!()
        };
        Ok(claims.fields.remove("deep").unwrap())
    }

    #[test]
    fn no_claim_is_so_deep_that_envoy_cannot_read_the_answer() {
        for (open, close) in [("{\"a\":", "}"), ("[", "]"), ("[{\"a\":", "}]")] {
            for levels in 1..=MAX_DEPTH / open.matches(['[', '{']).count() {
                let text = format!("{}\"é\"{}", open.repeat(levels), close.repeat(levels));
                assert!(told(&claim(&text)).is_ok(), "{levels} of {open}");
            }
        }
    }

    #[test]
    fn what_is_too_deep_is_its_own_text() {
        let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        let mut inner = told(&claim(&nested(MAX_LEVELS + 2))).unwrap();
        for _ in 0..MAX_LEVELS {
            let Some(Kind::ListValue(mut list)) = inner.kind else { panic!("{inner:?}") };
            inner = list.values.remove(0);
        }
        assert_eq!(inner, text("[[1]]"));
    }
}
