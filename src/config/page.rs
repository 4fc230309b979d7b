//! `deploy/docs/configuration.md`: every key of both configurations, for people, made from the types that read them
//! ([`super::fields`]). `claimgate schema --format markdown` prints it. What the keys mean together is for other pages.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use super::fields::{Default, Field, Mapping, mappings};
use super::scalar::{Addresses, FileMode, Moment, Scalar, Size};
use super::schema::{issuer_json_schema, json_schema};

/// The page.
pub fn markdown() -> String {
    let mut page = Page { text: INTRODUCTION.to_owned(), headings: Vec::new() };
    for expected in [
        Duration::EXPECTED,
        Size::EXPECTED,
        Addresses::EXPECTED,
        Moment::EXPECTED,
        FileMode::EXPECTED,
    ] {
        page.line(&format!("* {expected}"));
    }
    let mut known = Vec::new();
    page.line("\n## The service\n");
    page.line("`claimgate serve --config FILE`.\n");
    page.part("", &json_schema(), &mut known, include_str!("../../deploy/claimgate.example.yaml"));
    page.line("\n## The reference issuer\n");
    page.line("`claimgate issuer --config FILE`. What it has in common with the service is explained above.\n");
    let example = include_str!("../../deploy/issuer.example.yaml");
    page.part("issuer: ", &issuer_json_schema(), &mut known, example);
    page.text
}

const INTRODUCTION: &str = "\
# Every key of the configuration

`claimgate schema --format markdown` prints this page; it is made from the types that read the configuration, and a test
holds it, its defaults and its bounds to them. Whole files with a comment for each key:
[claimgate.example.yaml](../claimgate.example.yaml), [issuer.example.yaml](../issuer.example.yaml). An editor gets the same from
`claimgate schema` and `claimgate issuer schema`, which print JSON Schemas.

A key that is not known is a mistake; one without a value counts as left out. `claimgate check FILE` and
`claimgate issuer check FILE` name all mistakes at once, each with its place. Relative paths start at the directory of the
file, which is at most 1 MiB long. Under *default* stands what holds without the key, or **required**; nothing where the key
stands for no value of its own. `[]` is any element of a list.

Where a text is no plain text, it is written like this:

";

struct Page {
    text: String,
    /// Names of mappings in the schemas, and the headings that they stand under.
    headings: Vec<(String, String)>,
}

impl Page {
    fn part(&mut self, prefix: &str, schema: &Value, known: &mut Vec<String>, example: &str) {
        let example: Value = serde_saphyr::from_str(example).unwrap_or_default();
        let mappings = mappings(schema, known);
        let heading = |mapping: &Mapping| match mapping.path.as_str() {
            "" => format!("{prefix}top level"),
            path => format!("{prefix}{path}"),
        };
        let headings = mappings.iter().map(|(name, mapping)| (name.clone(), heading(mapping)));
        self.headings.extend(headings);
        for (index, (_, mapping)) in mappings.iter().enumerate() {
            if index > 0 {
                self.line("");
            }
            self.line(&format!("### {}\n", heading(mapping)));
            self.mapping(mapping, &example);
        }
    }

    fn mapping(&mut self, mapping: &Mapping, example: &Value) {
        if !mapping.one_of.is_empty() {
            let keys: Vec<String> = mapping.one_of.iter().map(|key| format!("`{key}`")).collect();
            self.line(&format!("Exactly one of {} is there.\n", keys.join(", ")));
        }
        self.line("| key | what is written | default | what it is | for example |");
        self.line("| --- | --- | --- | --- | --- |");
        for field in &mapping.fields {
            let Field { key, is_required, default, meaning, .. } = field;
            let default = match default {
                _ if *is_required => "**required**".to_owned(),
                None => String::new(),
                Some(Default::Value(value)) => format!("`{value}`"),
                Some(Default::InWords(words)) => cell(words),
            };
            let written = self.written(field);
            let example = example_of(example, &mapping.path, key).map(|text| format!("`{text}`"));
            let example = example.unwrap_or_default();
            self.line(&format!(
                "| `{key}` | {written} | {default} | {} | {example} |",
                cell(meaning)
            ));
        }
    }

    fn written(&self, field: &Field) -> String {
        let heading = field.mapping.as_ref().and_then(|name| {
            let found = self.headings.iter().find(|(known, _)| known == name);
            found.map(|(_, heading)| heading)
        });
        let kind = match heading {
            Some(heading) => {
                field.kind.replace("mapping", &format!("[{heading}](#{})", anchor(heading)))
            }
            None => field.kind.clone(),
        };
        let bounds = field.bounds.as_ref().map_or_else(String::new, |bounds| {
            let (first, rest) = bounds.split_at(1);
            format!("; {}{}", first.to_lowercase(), cell(rest))
        });
        kind + &bounds
    }

    fn line(&mut self, line: &str) {
        // A String takes everything.
        let _never = writeln!(self.text, "{line}").is_err();
    }
}

/// As GitHub makes them of headings.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}

/// As it is, in a cell of a table: outside of code nothing has a meaning.
fn cell(text: &str) -> String {
    let escaped = |(index, part): (usize, &str)| {
        let is_code = index % 2 == 1;
        if is_code { part.to_owned() } else { part.replace('*', "\\*").replace('<', "\\<") }
    };
    text.split('`').enumerate().map(escaped).collect::<Vec<_>>().join("`").replace('|', "\\|")
}

/// `key: value`, the first time that the example has it, if that is short.
fn example_of(example: &Value, path: &str, key: &str) -> Option<String> {
    let mut at = vec![example];
    for step in path.split('.').filter(|step| !step.is_empty()) {
        let name = step.trim_end_matches("[]");
        let below = at.into_iter().filter_map(|value| value.get(name));
        at = below
            .flat_map(|value| {
                value.as_array().map_or_else(|| vec![value], |list| list.iter().collect())
            })
            .collect();
    }
    let value = at.into_iter().find_map(|value| value.get(key))?;
    let text = format!("{key}: {}", flow(value)?);
    (text.len() <= MOST_OF_AN_EXAMPLE && !text.contains(['|', '`'])).then_some(text)
}

const MOST_OF_AN_EXAMPLE: usize = 72;

/// A scalar or a list of scalars, as YAML.
fn flow(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(if is_plain(text) { text.clone() } else { value.to_string() }),
        Value::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(flow).collect();
            items.map(|items| format!("[{}]", items.join(", ")))
        }
        Value::Null | Value::Object(_) => None,
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
    }
}

/// A text that YAML takes for nothing else.
fn is_plain(text: &str) -> bool {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || "_-./:@".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(is_fit)
        && !text.ends_with(':')
        && !["true", "false", "null", "yes", "no", "on", "off"].contains(&text)
        // With a unit, or an address.
        || text.starts_with(|c: char| c.is_ascii_digit())
            && (text.ends_with(['s', 'm', 'h', 'd', 'B']) || text.matches('.').count() == 3)
            && text.chars().all(is_fit)
}
