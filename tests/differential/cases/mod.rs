//! The list of requests. Each file adds one kind; this one says how a case is written down.

mod algorithms;
mod claims;
mod forms;
mod headers;
mod keys;
mod locations;
mod registered;
mod requirements;
mod routes;
mod rules;
mod spoofing;
mod times;

use std::cell::RefCell;

use crate::case::{Case, Differs, Expect, Verdict};
use crate::client::Request;
use crate::envoy::Front;
use crate::http2;
use crate::tokens::Tokens;
use crate::worlds::{KEPT, MAIN};

pub(crate) use self::spoofing::SPOOFED;

/// The kinds, each made when it is its turn: those that speak of the time grow old.
pub(crate) const KINDS: [fn(&Tokens) -> Vec<Case>; 12] = [
    |tokens| made(times::add, tokens),
    |tokens| made(algorithms::add, tokens),
    |tokens| made(forms::add, tokens),
    |tokens| made(registered::add, tokens),
    |tokens| made(keys::add, tokens),
    |tokens| over_both(made(headers::add, tokens)),
    |tokens| over_both(made(locations::add, tokens)),
    |tokens| made(rules::add, tokens),
    |tokens| made(routes::add, tokens),
    |tokens| made(requirements::add, tokens),
    |tokens| made(claims::add, tokens),
    |tokens| over_both(made(spoofing::add, tokens)),
];

/// Each over HTTP/1.1 and, if it can be said there, over HTTP/2.
fn over_both(cases: Vec<Case>) -> Vec<Case> {
    let can_be_said =
        |case: &&Case| case.in_both_versions && http2::translated(&case.request).is_some();
    let again = cases.iter().filter(can_be_said);
    let again = again.map(|case| Case {
        name: format!("{}, HTTP/2", case.name),
        world: case.world,
        front: case.front,
        request: Request { http2: true, ..case.request.clone() },
        expect: case.expect.clone(),
        in_both_versions: true,
    });
    let again: Vec<Case> = again.collect();
    cases.into_iter().chain(again).collect()
}

fn made(add: fn(&Cases, &Tokens), tokens: &Tokens) -> Vec<Case> {
    let cases = Cases::default();
    add(&cases, tokens);
    cases.0.into_inner()
}

/// Behind a `RefCell` so that a closure can name a kind of case, and each use of it ends in an expectation of its own.
#[derive(Default)]
struct Cases(RefCell<Vec<Case>>);

impl Cases {
    /// A GET of `target` without a token.
    fn get(&self, name: impl Into<String>, target: impl Into<String>) -> Draft<'_> {
        let request = Request::get(target);
        Draft {
            cases: self,
            name: name.into(),
            world: MAIN,
            front: Front::Shipped,
            request,
            in_both_versions: true,
        }
    }

    /// A GET with a bearer token, of what `issuer`'s tokens open.
    fn token(&self, name: impl Into<String>, issuer: &str, token: &str) -> Draft<'_> {
        self.get(name, format!("/i/{issuer}/x")).bearer(token)
    }
}

/// A case that still has to say what is expected of it.
#[must_use]
struct Draft<'a> {
    cases: &'a Cases,
    name: String,
    world: &'static str,
    front: Front,
    request: Request,
    in_both_versions: bool,
}

impl Draft<'_> {
    fn bare(self) -> Self {
        Self { front: Front::Bare, ..self }
    }

    fn http1(self) -> Self {
        Self { name: format!("{}, HTTP/1.1", self.name), in_both_versions: false, ..self }
    }

    fn http2(mut self) -> Self {
        self.request.http2 = true;
        Self { name: format!("{}, HTTP/2", self.name), in_both_versions: false, ..self }
    }

    fn kept(self) -> Self {
        Self { world: KEPT, ..self }
    }

    fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.request.method);
        self
    }

    fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.request.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    fn bearer(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    fn passes(self) {
        self.expect(Expect::Passes);
    }

    fn refused(self) {
        self.expect(Expect::Refused);
    }

    /// It passes `jwt_authn` alone.
    fn claimgate_refuses(self, row: &'static str) {
        self.verdicts(row, Verdict::Passes, Verdict::Refused(401));
    }

    /// It passes claimgate alone.
    fn jwt_authn_refuses(self, row: &'static str) {
        self.verdicts(row, Verdict::Refused(401), Verdict::Passes);
    }

    /// Both refuse it, each with a status of its own.
    fn statuses(self, row: &'static str, jwt_authn: u16, claimgate: u16) {
        self.verdicts(row, Verdict::Refused(jwt_authn), Verdict::Refused(claimgate));
    }

    fn verdicts(self, row: &'static str, jwt_authn: Verdict, claimgate: Verdict) {
        self.expect(Expect::Verdicts { row, jwt_authn, claimgate });
    }

    /// Both pass, and the upstream sees these differ: header, its values behind `jwt_authn`, behind claimgate.
    fn upstream(self, row: &'static str, differs: &[(&str, &[&str], &[&str])]) {
        let owned = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        let differs = differs.iter().map(|(header, jwt_authn, claimgate)| Differs {
            header: (*header).to_owned(),
            jwt_authn: owned(jwt_authn),
            claimgate: owned(claimgate),
        });
        self.expect(Expect::Upstream { row, differs: differs.collect() });
    }

    /// Both refuse it, and `jwt_authn` repeats the token.
    fn repeated(self, row: &'static str) {
        self.expect(Expect::Repeated { row });
    }

    fn expect(self, expect: Expect) {
        let Self { cases, name, world, front, request, in_both_versions } = self;
        cases.0.borrow_mut().push(Case { name, world, front, request, expect, in_both_versions });
    }
}
