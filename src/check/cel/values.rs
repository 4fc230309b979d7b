//! The variables of an evaluation: of the token and the request only what the condition asks for. Texts are borrowed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString,
};
use cel::common::value::Val;
use cel::{Context, Env};

use super::cost::Sizes;
use super::pattern::Pattern;
use super::uses::{Keys, Uses, Variable};
use crate::check::host::Host;
use crate::check::request::CheckRequest;
use crate::token::Claims;
use crate::util::json::View;

/// What an evaluation is about.
pub(super) struct Facts<'a> {
    pub(super) issuer: &'a str,
    pub(super) claims: &'a Claims,
    pub(super) request: &'a CheckRequest<'a>,
    /// The one reading of its path that is evaluated.
    pub(super) path: &'a str,
}

/// The variables that a condition asks for, and how large each is.
pub(super) struct Variables<'a> {
    values: Vec<(Variable, Box<dyn Val + 'a>, Sizes)>,
    /// Of each claim on its own: among them is the one long list that most others do not come near.
    claims: Vec<(&'a str, Sizes)>,
}

type Members<'a> = HashMap<CelMapKey<'a>, Box<dyn Val + 'a>>;

impl<'a> Variables<'a> {
    /// `None` when something is asked for that has several readings.
    pub(super) fn gather(uses: &Uses, facts: &Facts<'a>) -> Option<Self> {
        let mut claims = Vec::new();
        let each = uses.iter().map(|(variable, keys)| {
            let mut sizes = Sizes::default();
            let value = facts.variable(variable, keys, &mut sizes, &mut claims)?;
            Some((variable, value, sizes))
        });
        let values = each.collect::<Option<Vec<_>>>()?;
        Some(Self { values, claims })
    }

    /// Of a variable, or of one member of it.
    pub(super) fn sizes(&self, variable: Variable, member: Option<&str>) -> Sizes {
        if let (Variable::Claims, Some(name)) = (variable, member) {
            let claim = self.claims.iter().find(|(one, _)| *one == name);
            return claim.map(|(_, sizes)| *sizes).unwrap_or_default();
        }
        let found = self.values.iter().find(|(one, ..)| *one == variable);
        found.map(|(.., sizes)| *sizes).unwrap_or_default()
    }

    pub(super) fn into_context<'p>(
        self,
        environment: &Arc<Env>,
        patterns: &[Pattern],
    ) -> Context<'p, 'a> {
        let mut context = Context::with_env(Arc::clone(environment));
        for (variable, value, _) in self.values {
            context.add_variable_as_val(variable.name(), value);
        }
        for (index, pattern) in patterns.iter().enumerate() {
            context.add_variable_as_val(Pattern::variable(index), Box::new(pattern.clone()));
        }
        context
    }
}

impl<'a> Facts<'a> {
    fn variable(
        &self,
        variable: Variable,
        keys: &Keys,
        sizes: &mut Sizes,
        of_claims: &mut Vec<(&'a str, Sizes)>,
    ) -> Option<Box<dyn Val + 'a>> {
        let members = match variable {
            Variable::Issuer => return Some(text(self.issuer, sizes)),
            Variable::Method => return Some(text(&self.request.method, sizes)),
            Variable::Path => return Some(text(self.path, sizes)),
            Variable::Host => {
                // Rules compare it without case.
                let host = Host::parse(&self.request.host).ok()?.0.to_ascii_lowercase();
                sizes.text(&host);
                return Some(Box::new(CelString::from(host)));
            }
            Variable::Claims => claims(keys, self.claims, sizes, of_claims),
            Variable::Headers => headers(keys, self.request, sizes),
            Variable::Context => context(keys, self.request, sizes)?,
        };
        sizes.container(members.len());
        Some(Box::new(CelMap::from(members)))
    }
}

fn claims<'a>(
    keys: &Keys,
    claims: &'a Claims,
    sizes: &mut Sizes,
    of_claims: &mut Vec<(&'a str, Sizes)>,
) -> Members<'a> {
    let named = claims.iter().filter(|(name, _)| keys.have(name));
    let members = named.map(|(name, claim)| {
        let mut of_claim = Sizes::default();
        let value = value(claim, &mut of_claim);
        sizes.key(name);
        *sizes = sizes.with(of_claim);
        of_claims.push((name, of_claim));
        (key(name), value)
    });
    members.collect()
}

/// One that was sent several times is all of them, joined as Envoy joins them: no reader may take one for the one.
fn headers<'a>(keys: &Keys, request: &'a CheckRequest<'a>, sizes: &mut Sizes) -> Members<'a> {
    let mut joined: HashMap<String, Cow<'a, str>> = HashMap::new();
    // The pseudo headers would be a way around what is said of path and host.
    let wanted = |name: &str| !name.starts_with(':') && keys.have_lowered(name);
    for (name, value) in request.headers.iter().filter(|(name, _)| wanted(name)) {
        match joined.entry(name.to_ascii_lowercase()) {
            Entry::Vacant(first) => {
                first.insert(Cow::Borrowed(value));
            }
            Entry::Occupied(mut former) => {
                let all = former.get_mut().to_mut();
                all.push(',');
                all.push_str(value);
            }
        }
    }
    let members = joined.into_iter().map(|(name, value)| {
        sizes.key(&name);
        sizes.text(&value);
        let value: Box<dyn Val + 'a> = Box::new(CelString::from(value));
        (CelMapKey::String(name.into()), value)
    });
    members.collect()
}

/// `None` when one key has two values.
fn context<'a>(
    keys: &Keys,
    request: &'a CheckRequest<'a>,
    sizes: &mut Sizes,
) -> Option<Members<'a>> {
    let mut members = Members::new();
    for (name, value) in request.context.iter().filter(|(name, _)| keys.have(name)) {
        sizes.key(name);
        if members.insert(key(name), text(value, sizes)).is_some() {
            return None;
        }
    }
    Some(members)
}

fn text<'a>(text: &'a str, sizes: &mut Sizes) -> Box<dyn Val + 'a> {
    sizes.text(text);
    Box::new(CelString::from(text))
}

fn key(name: &str) -> CelMapKey<'_> {
    CelMapKey::String(name.into())
}

/// As deep as the claims, whose depth the parser of the token bounds.
fn value<'a>(claim: View<'a>, sizes: &mut Sizes) -> Box<dyn Val + 'a> {
    match claim {
        View::Null => Box::new(CelNull),
        View::Bool(flag) => Box::new(CelBool::from(flag)),
        View::Number(text) => number(text, sizes),
        View::String(string) => text(string, sizes),
        View::Array(elements) => {
            sizes.container(elements.count());
            let elements: Vec<_> = elements
                .elements()
                .map(|element| sizes.element(|sizes| value(element, sizes)))
                .collect();
            Box::new(CelList::from(elements))
        }
        View::Object(members) => {
            sizes.container(members.count());
            let members: Members<'a> = members
                .members()
                .map(|(name, member)| {
                    sizes.key(name);
                    (key(name), value(member, sizes))
                })
                .collect();
            Box::new(CelMap::from(members))
        }
    }
}

/// A number that would be another one in the language is the text that was signed.
fn number<'a>(text: &'a str, sizes: &mut Sizes) -> Box<dyn Val + 'a> {
    sizes.text(text);
    if let Ok(whole) = text.parse::<i64>() {
        return Box::new(CelInt::from(whole));
    }
    match text.parse::<f64>() {
        Ok(double) if is_faithful(text, double) => Box::new(CelDouble::from(double)),
        Ok(_) | Err(_) => Box::new(CelString::from(text)),
    }
}

/// A whole number is one that a double holds exactly. A fraction is never exact; it must still be one.
fn is_faithful(text: &str, double: f64) -> bool {
    /// 2^53: below it a double holds every whole number, and only that one is read as it.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if is_whole(text) {
        return double.fract() == 0.0 && double.abs() < EXACT;
    }
    double.is_finite() && double.fract() != 0.0
}

/// Whether a JSON number is whole, however it is written: `1e3`, `10.0`, `1.5e1`.
fn is_whole(text: &str) -> bool {
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches('-');
    let digits = [whole, fraction].concat();
    let significant = digits.trim_end_matches('0');
    // One that does not fit leaves no doubt.
    let far = if exponent.starts_with('-') { i64::MIN } else { i64::MAX };
    let exponent = exponent.parse::<i64>().unwrap_or(far);
    // The places between the last significant digit and the point.
    let places = i64::try_from(significant.len())
        .and_then(|last| i64::try_from(whole.len()).map(|point| point - last));
    significant.is_empty() || places.is_ok_and(|places| exponent.saturating_add(places) >= 0)
}
