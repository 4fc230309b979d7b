//! What was found, held against the table; and printed: the counts, and the table with how often each row was seen.

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use crate::case::{Case, Outcome, Verdict, judge};
use crate::cases::SPOOFED;
use crate::table::{Row, Stricter, TABLE};

#[derive(Default)]
pub(crate) struct Report {
    cases: usize,
    passed: usize,
    refused: usize,
    seen: BTreeMap<&'static str, Seen>,
    wrong: Vec<String>,
}

/// How often a row was seen, and who refused alone.
#[derive(Default)]
struct Seen {
    cases: usize,
    jwt_authn: bool,
    claimgate: bool,
}

impl Report {
    pub(crate) fn add(&mut self, case: &Case, jwt_authn: &Outcome, claimgate: &Outcome) {
        self.cases += 1;
        match judge(&case.expect, jwt_authn, claimgate) {
            Err(found) => self.wrong.push(format!("{}: {found}", case.name)),
            Ok(None) if claimgate.verdict == Verdict::Passes => self.passed += 1,
            Ok(None) => self.refused += 1,
            Ok(Some(row)) => {
                self.see(row, jwt_authn.verdict == Verdict::Passes, claimgate.verdict);
            }
        }
        // Whatever the case expects: this must never be.
        let spoofed = |(name, values): (&String, &Vec<String>)| {
            name.starts_with('x') && values.iter().any(|value| value.contains(SPOOFED))
        };
        if claimgate.upstream.iter().any(spoofed) {
            self.wrong.push(format!("{}: a spoofed header behind claimgate", case.name));
        }
    }

    /// A difference that one row explains.
    fn see(&mut self, row: &'static str, passes_jwt_authn: bool, claimgate: Verdict) {
        let seen = self.seen.entry(row).or_default();
        seen.cases += 1;
        let passes_claimgate = claimgate == Verdict::Passes;
        seen.jwt_authn |= passes_claimgate && !passes_jwt_authn;
        seen.claimgate |= passes_jwt_authn && !passes_claimgate;
    }

    /// Prints, and fails on what is not as it should be.
    pub(crate) fn end(mut self) {
        self.hold_against_the_table();
        self.print();
        assert!(self.wrong.is_empty(), "{} wrong:\n{}", self.wrong.len(), self.wrong.join("\n"));
    }

    fn hold_against_the_table(&mut self) {
        for Row { name, stricter, .. } in TABLE {
            let found = self.seen.get(name).map(Seen::stricter);
            if found != Some(*stricter) {
                let said = format!("stricter: {stricter:?}");
                self.wrong.push(format!("row {name}: the table says {said}, the cases {found:?}"));
            }
        }
        let unknown = self.seen.keys().filter(|name| TABLE.iter().all(|row| row.name != **name));
        self.wrong.extend(unknown.map(|name| format!("{name} is no row of the table")));
    }

    /// Past the test harness, which shows what a test prints only when it fails.
    fn print(&self) {
        let Self { cases, passed, refused, .. } = self;
        let differences: usize = self.seen.values().map(|seen| seen.cases).sum();
        let mut text = format!(
            "\ncounted: {cases} requests past jwt_authn and past claimgate: {} alike ({passed} \
             pass, {refused} are refused), {differences} explained differences in {} rows\n\n",
            passed + refused,
            self.seen.len()
        );
        text += &format!(
            "{:21} | {:9} | cases | jwt_authn; claimgate: what it does, and why\n",
            "row", "stricter"
        );
        for Row { name, stricter, jwt_authn, claimgate } in TABLE {
            let cases = self.seen.get(name).map_or(0, |seen| seen.cases);
            let stricter = format!("{stricter:?}");
            text += &format!(
                "{name:21} | {stricter:9} | {cases:5} | {jwt_authn}; claimgate: {claimgate}\n"
            );
        }
        let _gone = writeln!(io::stdout().lock(), "{text}").is_err();
    }
}

impl Seen {
    fn stricter(&self) -> Stricter {
        match (self.jwt_authn, self.claimgate) {
            (true, true) => Stricter::Both,
            (true, false) => Stricter::JwtAuthn,
            (false, true) => Stricter::Claimgate,
            (false, false) => Stricter::Neither,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Expect;
    use crate::client::Request;
    use crate::envoy::Front;

    fn outcome(verdict: Verdict, header: &str) -> Outcome {
        let upstream = BTreeMap::from([("x-jwt-sub".to_owned(), vec![header.to_owned()])]);
        let upstream = if verdict == Verdict::Passes { upstream } else { BTreeMap::new() };
        Outcome { verdict, upstream, said: String::new(), repeats: false }
    }

    /// What is said of one case with these outcomes.
    fn wrong(expect: Expect, jwt_authn: &Outcome, claimgate: &Outcome) -> Vec<String> {
        let request = Request::get("/");
        let name = "a case".to_owned();
        let case = Case {
            name,
            world: "main",
            front: Front::Shipped,
            request,
            expect,
            in_both_versions: true,
        };
        let mut report = Report::default();
        report.add(&case, jwt_authn, claimgate);
        report.wrong
    }

    #[test]
    fn a_difference_that_nobody_expected_is_wrong() {
        let alice = || outcome(Verdict::Passes, "alice");
        let refused = |status| outcome(Verdict::Refused(status), "");
        assert!(wrong(Expect::Passes, &alice(), &alice()).is_empty());
        assert!(wrong(Expect::Refused, &refused(401), &refused(401)).is_empty());
        for (expect, jwt_authn, claimgate) in [
            (Expect::Passes, alice(), outcome(Verdict::Passes, "bob")),
            (Expect::Passes, alice(), refused(401)),
            (Expect::Passes, refused(401), refused(401)),
            (Expect::Refused, alice(), alice()),
            (Expect::Refused, refused(403), refused(401)),
        ] {
            assert_eq!(wrong(expect, &jwt_authn, &claimgate).len(), 1);
        }
    }

    #[test]
    fn an_expected_difference_that_does_not_come_is_wrong() {
        let expect = || Expect::Verdicts {
            row: "typ",
            jwt_authn: Verdict::Passes,
            claimgate: Verdict::Refused(401),
        };
        let (passes, refused) =
            (outcome(Verdict::Passes, "alice"), outcome(Verdict::Refused(401), ""));
        assert!(wrong(expect(), &passes, &refused).is_empty());
        assert_eq!(wrong(expect(), &passes, &passes).len(), 1);
        assert_eq!(wrong(expect(), &refused, &passes).len(), 1);
    }

    #[test]
    fn a_spoofed_header_behind_claimgate_is_wrong_whatever_is_expected() {
        let spoofed = outcome(Verdict::Passes, SPOOFED);
        assert_eq!(wrong(Expect::Passes, &spoofed, &spoofed).len(), 1);
    }

    #[test]
    fn rows_are_known_and_shown_and_right_about_who_is_stricter() {
        let told = |row: &'static str, passes_jwt_authn, claimgate| {
            let mut report = Report::default();
            report.see(row, passes_jwt_authn, claimgate);
            report.hold_against_the_table();
            report.wrong
        };
        let others = TABLE.len() - 1;
        assert_eq!(told("typ", true, Verdict::Refused(401)).len(), others, "every other is stale");
        assert_eq!(told("typ", false, Verdict::Passes).len(), others + 1);
        assert_eq!(told("no such row", true, Verdict::Refused(401)).len(), others + 2);
    }
}
