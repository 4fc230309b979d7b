//! The variables of an evaluation: of the token and the request only what the condition asks for. Texts are borrowed.

use std::collections::HashMap;
use std::sync::Arc;

use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString,
};
use cel::common::value::Val;
use cel::{Context, Env};

use super::checker::{Keys, Uses};
use super::cost::Sizes;
use super::pattern::Pattern;
use crate::check::request::CheckRequest;
use crate::check::rules::Host;
use crate::token::Claims;
use crate::util::json::Value;

/// What an evaluation is about.
pub(super) struct Facts<'a> {
    pub(super) issuer: &'a str,
    pub(super) claims: &'a Claims,
    pub(super) request: &'a CheckRequest,
    /// The one reading of its path that is evaluated.
    pub(super) path: &'a str,
}

/// Variables by the qualified names under which the interpreter looks for them first, and how large they are together.
pub(super) struct Variables<'a> {
    values: Vec<(&'static str, Box<dyn Val + 'a>)>,
    sizes: Sizes,
}

type Members<'a> = HashMap<CelMapKey<'a>, Box<dyn Val + 'a>>;

impl<'a> Variables<'a> {
    /// `None` when something is asked for that has several readings.
    pub(super) fn gather(uses: &Uses, facts: &Facts<'a>) -> Option<Self> {
        let mut variables = Self { values: Vec::with_capacity(6), sizes: Sizes::default() };
        let Facts { issuer, claims, request, path } = *facts;
        if uses.claims != Keys::Named(Vec::new()) {
            let members = variables.claims(&uses.claims, claims);
            variables.map("claims", members);
        }
        if uses.issuer {
            variables.text("issuer", issuer);
        }
        if uses.method {
            variables.text("request.method", &request.method);
        }
        if uses.host {
            // In any case, but a variable has one.
            let host = Host::parse(&request.host).ok()?.0.to_ascii_lowercase();
            variables.sizes.text(&host);
            variables.values.push(("request.host", Box::new(CelString::from(host))));
        }
        if uses.path {
            variables.text("request.path", path);
        }
        if uses.headers != Keys::Named(Vec::new()) {
            let members = variables.headers(&uses.headers, request);
            variables.map("request.headers", members);
        }
        if uses.context != Keys::Named(Vec::new()) {
            let members = variables.context(&uses.context, request)?;
            variables.map("request.context", members);
        }
        Some(variables)
    }

    pub(super) fn sizes(&self) -> Sizes {
        self.sizes
    }

    pub(super) fn into_context<'p>(
        self,
        environment: &Arc<Env>,
        patterns: &[Pattern],
    ) -> Context<'p, 'a> {
        let mut context = Context::with_env(Arc::clone(environment));
        for (name, value) in self.values {
            context.add_variable_as_val(name, value);
        }
        for (index, pattern) in patterns.iter().enumerate() {
            context.add_variable_as_val(Pattern::variable(index), Box::new(pattern.clone()));
        }
        context
    }

    fn text(&mut self, name: &'static str, text: &'a str) {
        self.sizes.text(text);
        self.values.push((name, Box::new(CelString::from(text))));
    }

    fn map(&mut self, name: &'static str, members: Members<'a>) {
        self.sizes.container(members.len());
        self.values.push((name, Box::new(CelMap::from(members))));
    }

    fn claims(&mut self, keys: &Keys, claims: &'a Claims) -> Members<'a> {
        let mut members = Members::new();
        for (name, claim) in claims.iter().filter(|(name, _)| keys.have(name)) {
            self.sizes.key(name);
            members.insert(key(name), value(claim, &mut self.sizes));
        }
        members
    }

    /// One that was sent several times is all of them, joined as Envoy joins them: no reader may take one for the one.
    fn headers(&mut self, keys: &Keys, request: &'a CheckRequest) -> Members<'a> {
        let mut joined: HashMap<String, String> = HashMap::new();
        for (name, value) in &request.headers {
            let name = name.to_ascii_lowercase();
            // The pseudo headers would be a way around what is said of path and host.
            if name.starts_with(':') || !keys.have(&name) {
                continue;
            }
            let values = joined.entry(name);
            values
                .and_modify(|all| {
                    all.push(',');
                    all.push_str(value);
                })
                .or_insert_with(|| value.clone());
        }
        let mut members = Members::new();
        for (name, value) in joined {
            self.sizes.key(&name);
            self.sizes.text(&value);
            members.insert(CelMapKey::String(name.into()), Box::new(CelString::from(value)));
        }
        members
    }

    fn context(&mut self, keys: &Keys, request: &'a CheckRequest) -> Option<Members<'a>> {
        let mut members = Members::new();
        for (name, value) in request.context.iter().filter(|(name, _)| keys.have(name)) {
            self.sizes.key(name);
            self.sizes.text(value);
            if members.insert(key(name), Box::new(CelString::from(value.as_str()))).is_some() {
                return None;
            }
        }
        Some(members)
    }
}

fn key(name: &str) -> CelMapKey<'_> {
    CelMapKey::String(name.into())
}

/// As deep as the claims, whose depth the parser of the token bounds.
fn value<'a>(claim: &'a Value, sizes: &mut Sizes) -> Box<dyn Val + 'a> {
    match claim {
        Value::Null => Box::new(CelNull),
        Value::Bool(flag) => Box::new(CelBool::from(*flag)),
        Value::Number(text) => number(text, sizes),
        Value::String(text) => {
            sizes.text(text);
            Box::new(CelString::from(&**text))
        }
        Value::Array(elements) => {
            sizes.container(elements.len());
            let elements: Vec<_> = elements
                .iter()
                .map(|element| sizes.element(|sizes| value(element, sizes)))
                .collect();
            Box::new(CelList::from(elements))
        }
        Value::Object(members) => {
            sizes.container(members.len());
            let members: Members<'a> = members
                .iter()
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
