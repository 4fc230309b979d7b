//! A case: one request, sent to both, and what is expected of that. [`judge`] is where two answers become "alike",
//! "an explained difference" or a failure.

use std::collections::BTreeMap;

use crate::client::{Answer, Request};
use crate::echo::MARK;
use crate::envoy::Front;

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) world: &'static str,
    pub(crate) front: Front,
    pub(crate) request: Request,
    pub(crate) expect: Expect,
    /// Whether the same is expected over the other version of HTTP.
    pub(crate) in_both_versions: bool,
}

/// Each of them is exact: a difference that is expected and does not come is a failure as well.
#[derive(Clone, Debug)]
pub(crate) enum Expect {
    /// Both let it through, and the upstream sees the same.
    Passes,
    /// Both refuse, with the same status.
    Refused,
    /// The verdicts or the statuses differ, as this row of the table says.
    Verdicts { row: &'static str, jwt_authn: Verdict, claimgate: Verdict },
    /// Both let it through, and of all that the upstream sees exactly this differs.
    Upstream { row: &'static str, differs: Vec<Differs> },
    /// Both refuse, with the same status, and `jwt_authn` alone repeats the token.
    Repeated { row: &'static str },
}

/// A header (or `:path`) and its values, as the upstream sees them behind either.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Differs {
    pub(crate) header: String,
    pub(crate) jwt_authn: Vec<String>,
    pub(crate) claimgate: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passes,
    Refused(u16),
}

/// What one of the two did with a request.
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    /// By name; empty when it was refused.
    pub(crate) upstream: BTreeMap<String, Vec<String>>,
    /// The reason, in its own words.
    pub(crate) said: String,
    /// Whether the refusal repeats a piece of the request's token.
    pub(crate) repeats: bool,
}

/// Envoy makes one for each request.
const NEVER_ALIKE: &str = "x-request-id";

impl Outcome {
    pub(crate) fn of(answer: &Answer, request: &Request) -> Self {
        let mut upstream: BTreeMap<String, Vec<String>> = BTreeMap::new();
        if answer.header(MARK).is_some() {
            // There is none after HEAD.
            let seen = Some(answer.body.as_str()).filter(|body| !body.is_empty());
            let seen = seen.map_or_else(Vec::new, |body| {
                serde_json::from_str::<Vec<[String; 2]>>(body).unwrap()
            });
            for [name, value] in seen.into_iter().filter(|[name, _]| name != NEVER_ALIKE) {
                upstream.entry(name).or_default().push(value);
            }
            return Self {
                verdict: Verdict::Passes,
                upstream,
                said: String::new(),
                repeats: false,
            };
        }
        // A gRPC client is refused with a status of its own.
        let status = answer.header("grpc-status").map(|status| status.parse().unwrap());
        let reason = answer.header("x-ext-auth-reason");
        let said = reason.or_else(|| answer.header("grpc-message"));
        let said = said.unwrap_or(&answer.body).to_owned();
        let verdict = Verdict::Refused(status.unwrap_or(answer.status));
        Self { verdict, upstream, said, repeats: answer.repeats(request) }
    }

    fn passes(&self) -> bool {
        self.verdict == Verdict::Passes
    }
}

/// The row that explains the difference, `None` where there is none.
///
/// # Errors
/// It is not as expected.
pub(crate) fn judge(
    expect: &Expect,
    jwt_authn: &Outcome,
    claimgate: &Outcome,
) -> Result<Option<&'static str>, String> {
    let differs = differences(jwt_authn, claimgate);
    let verdicts = (jwt_authn.verdict, claimgate.verdict);
    let found = match verdicts {
        (a, b) if a != b => format!(
            "jwt_authn {a:?} ({}), claimgate {b:?} ({})",
            jwt_authn.said.trim(),
            claimgate.said
        ),
        (Verdict::Passes, _) if differs.is_empty() => "both pass alike".to_owned(),
        (Verdict::Passes, _) => format!("both pass, the upstream sees {differs:#?}"),
        (Verdict::Refused(status), _) => {
            let (a, b) = (jwt_authn.repeats, claimgate.repeats);
            format!("both refuse with {status}; jwt_authn repeats the token: {a}, claimgate: {b}")
        }
    };
    let both_refuse = verdicts.0 == verdicts.1 && !claimgate.passes();
    let holds = match expect {
        Expect::Passes => jwt_authn.passes() && claimgate.passes() && differs.is_empty(),
        Expect::Refused => both_refuse && !jwt_authn.repeats && !claimgate.repeats,
        Expect::Repeated { .. } => both_refuse && jwt_authn.repeats && !claimgate.repeats,
        Expect::Verdicts { jwt_authn, claimgate, .. } => {
            verdicts == (*jwt_authn, *claimgate) && verdicts.0 != verdicts.1
        }
        Expect::Upstream { differs: expected, .. } => {
            let mut expected = expected.clone();
            expected.sort();
            verdicts.0 == verdicts.1 && !expected.is_empty() && differs == expected
        }
    };
    match expect {
        _ if !holds => Err(format!("expected {expect:?}, found: {found}")),
        Expect::Passes | Expect::Refused => Ok(None),
        Expect::Verdicts { row, .. } | Expect::Upstream { row, .. } | Expect::Repeated { row } => {
            Ok(Some(row))
        }
    }
}

fn differences(jwt_authn: &Outcome, claimgate: &Outcome) -> Vec<Differs> {
    if !(jwt_authn.passes() && claimgate.passes()) {
        return Vec::new();
    }
    let mut names: Vec<&String> =
        jwt_authn.upstream.keys().chain(claimgate.upstream.keys()).collect();
    names.sort();
    names.dedup();
    let values =
        |outcome: &Outcome, name: &String| outcome.upstream.get(name).cloned().unwrap_or_default();
    let differs = names.into_iter().map(|name| Differs {
        header: name.clone(),
        jwt_authn: values(jwt_authn, name),
        claimgate: values(claimgate, name),
    });
    differs.filter(|one| one.jwt_authn != one.claimgate).collect()
}
