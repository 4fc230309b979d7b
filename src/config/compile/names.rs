//! Names that an operator chose: of issuers and rules. They become metric labels and are written in logs,
//! so they are short, plain and unique.

use super::Compiler;
use crate::config::report::{Path, quote};

const EXPECTED: &str = "a name of 1 to 64 characters a-z, 0-9, _ and -, other than none";

impl Compiler<'_> {
    /// Checks one name against the ones before it, which it joins.
    pub(super) fn name(
        &mut self,
        path: &Path,
        name: Option<String>,
        taken: &mut Vec<String>,
    ) -> String {
        let Some(name) = name else {
            self.report.missing(path, EXPECTED);
            return String::new();
        };
        let is_plain =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        // "none" is what metrics say where there is no issuer or rule.
        if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) || name == "none" {
            self.report.wrong(path, quote(&name), EXPECTED);
        } else if taken.contains(&name) {
            self.report.wrong(path, quote(&name), "a name that no other entry of this list has");
        } else {
            taken.push(name.clone());
        }
        name
    }

    /// Checks that a list that is there has something in it.
    pub(super) fn not_empty(&mut self, path: &Path, length: usize, expected: &str) {
        if length == 0 {
            self.report.wrong(path, "an empty list", expected);
        }
    }

    /// Checks a list of strings for empty and repeated ones.
    pub(super) fn strings(&mut self, path: &Path, list: Vec<Option<String>>) -> Vec<String> {
        let mut kept: Vec<String> = Vec::with_capacity(list.len());
        for (index, text) in list.into_iter().enumerate() {
            let Some(text) = text else { continue };
            if text.is_empty() {
                self.report.wrong(
                    &path.index(index),
                    "an empty string",
                    "a string with something in it",
                );
            } else if kept.contains(&text) {
                self.report.wrong(&path.index(index), quote(&text), "each string once");
            }
            kept.push(text);
        }
        kept
    }
}
