//! The table that `claimgate demo --check` prints: what was tried, what was expected, what came.

use std::fmt;

/// One line: passed exactly if `got` is `expected`.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) what: String,
    pub(super) expected: String,
    pub(super) got: String,
}

/// The lines so far.
#[derive(Debug, Default)]
pub(super) struct Table {
    steps: Vec<Step>,
}

impl Step {
    fn passed(&self) -> bool {
        self.expected == self.got
    }
}

impl Table {
    pub(super) fn push(&mut self, what: &str, expected: &str, got: String) {
        self.steps.push(Step { what: what.to_owned(), expected: expected.to_owned(), got });
    }

    /// Whether something was tried and all of it came as expected.
    pub(super) fn passed(&self) -> bool {
        !self.steps.is_empty() && self.steps.iter().all(Step::passed)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: fn(&Step) -> &str, title: &str| {
            let widths = self.steps.iter().map(|step| column(step).chars().count());
            widths.chain([title.len()]).max().unwrap_or_default()
        };
        let what = width(|step| &step.what, "step");
        let expected = width(|step| &step.expected, "expected");
        let got = width(|step| &step.got, "got");
        writeln!(f, "     {:what$}  {:expected$}  got", "step", "expected")?;
        writeln!(f, "---- {:-<what$}  {:-<expected$}  {:-<got$}", "", "", "")?;
        for step in &self.steps {
            let mark = if step.passed() { "ok  " } else { "FAIL" };
            writeln!(f, "{mark} {:what$}  {:expected$}  {}", step.what, step.expected, step.got)?;
        }
        let passed = self.steps.iter().filter(|step| step.passed()).count();
        write!(f, "{passed} passed, {} failed", self.steps.len() - passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_table_has_not_passed() {
        assert!(!Table::default().passed());
    }

    #[test]
    fn one_difference_fails_the_table_and_is_marked() {
        let mut table = Table::default();
        table.push("good token", "200", "200".to_owned());
        assert!(table.passed());
        table.push("no token", "401 missing_token", "200".to_owned());
        assert!(!table.passed());
        let text = table.to_string();
        assert!(text.contains("ok   good token"), "{text}");
        assert!(text.contains("FAIL no token"), "{text}");
        assert!(text.ends_with("1 passed, 1 failed"), "{text}");
    }
}
