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
        for Row { name, stricter, .. } in TABLE {
            let found = self.seen.get(name).map(Seen::stricter);
            if found != Some(*stricter) {
                let said = format!("stricter: {stricter:?}");
                self.wrong.push(format!("row {name}: the table says {said}, the cases {found:?}"));
            }
        }
        let unknown = self.seen.keys().filter(|name| TABLE.iter().all(|row| row.name != **name));
        self.wrong.extend(unknown.map(|name| format!("{name} is no row of the table")));
        self.print();
        assert!(self.wrong.is_empty(), "{} wrong:\n{}", self.wrong.len(), self.wrong.join("\n"));
    }

    /// Past the test harness, which shows what a test prints only when it fails.
    fn print(&self) {
        let Self { cases, passed, refused, .. } = self;
        let differences: usize = self.seen.values().map(|seen| seen.cases).sum();
        let mut text = format!(
            "\n{cases} cases: {} alike ({passed} pass, {refused} are refused), {differences} \
             explained differences in {} rows\n\n",
            passed + refused,
            self.seen.len()
        );
        text += &format!("{:21} | {:9} | cases | jwt_authn; and claimgate\n", "row", "stricter");
        for Row { name, stricter, why } in TABLE {
            let cases = self.seen.get(name).map_or(0, |seen| seen.cases);
            let stricter = format!("{stricter:?}");
            text += &format!("{name:21} | {stricter:9} | {cases:5} | {why}\n");
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
