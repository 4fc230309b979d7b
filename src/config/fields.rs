//! The keys of a configuration, one by one, as its JSON Schema ([`super::schema`]) has them: where each stands, what is
//! written there, and what its description says of defaults and bounds. For [`super::page`], which prints them, and for
//! the tests that hold what is said against what is compiled.
//!
//! In a description the sentence that begins with `Default` is the default, a value or in words; `(default)` stands behind
//! the word that is one. A sentence that begins with `From`, `At least` or `At most` and has a number in it is the bounds.

use serde_json::{Map, Value};

use super::scalar::{Age, FileMode, MaxStale, Moment, Size};
use super::schema::Written;

/// A mapping: where it stands first, and what may be in it.
pub(super) struct Mapping {
    /// `issuers[].refresh`; empty at the top.
    pub(super) path: String,
    /// Of these keys exactly one is there.
    pub(super) one_of: Vec<String>,
    pub(super) fields: Vec<Field>,
}

/// One key of a mapping.
pub(super) struct Field {
    pub(super) key: String,
    pub(super) kind: String,
    pub(super) is_required: bool,
    pub(super) default: Option<Default>,
    pub(super) bounds: Option<String>,
    /// The rest of the description.
    pub(super) meaning: String,
    /// The mapping that is written there, or in the list there: its name in the schema.
    pub(super) mapping: Option<String>,
    is_list: bool,
}

/// What holds when a key is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Default {
    /// As it would be written.
    Value(String),
    InWords(String),
}

impl Field {
    /// Where the mapping stands that is written there.
    pub(super) fn path_in(&self, mapping: &Mapping) -> String {
        let dot = if mapping.path.is_empty() { "" } else { "." };
        let list = if self.is_list { "[]" } else { "" };
        format!("{}{dot}{}{list}", mapping.path, self.key)
    }
}

/// The mapping at the top of `schema`, and each one below it where it stands first, with its name; those in `known` are
/// left out, and what is found is added to it.
pub(super) fn mappings(schema: &Value, known: &mut Vec<String>) -> Vec<(String, Mapping)> {
    let mut found = Vec::new();
    walk(schema, schema, "", String::new(), known, &mut found);
    found
}

fn walk(
    schema: &Value,
    node: &Value,
    name: &str,
    path: String,
    known: &mut Vec<String>,
    found: &mut Vec<(String, Mapping)>,
) {
    let mapping = mapping(node, path);
    let below: Vec<(String, String)> = mapping
        .fields
        .iter()
        .filter_map(|field| Some((field.mapping.clone()?, field.path_in(&mapping))))
        .collect();
    found.push((name.to_owned(), mapping));
    for (name, path) in below {
        let definition = schema.get("$defs").and_then(|all| all.get(&name));
        if let Some(definition) = definition.filter(|_| !known.contains(&name)) {
            known.push(name.clone());
            walk(schema, definition, &name, path, known, found);
        }
    }
}

fn mapping(node: &Value, path: String) -> Mapping {
    let required = strings(node.get("required"));
    let one_of = node.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let one_of = one_of.flat_map(|one| strings(one.get("required"))).collect();
    let properties = node.get("properties").and_then(Value::as_object);
    let properties = properties.into_iter().flat_map(Map::iter);
    let fields = properties.map(|(key, node)| field(key, node, required.contains(key))).collect();
    Mapping { path, one_of, fields }
}

fn field(key: &str, node: &Value, is_required: bool) -> Field {
    let description = node.get("description").and_then(Value::as_str).unwrap_or_default();
    let (mut default, mut bounds, mut meaning) = (None, None, Vec::new());
    for sentence in sentences(description) {
        if let Some(words) = sentence.strip_prefix("Default: ") {
            default = Some(Default::InWords(words.to_owned()));
        } else if let Some(value) = sentence.strip_prefix("Default ").filter(|text| is_value(text))
        {
            default = Some(Default::Value(value.to_owned()));
        } else if is_bounds(sentence) {
            bounds = Some(sentence.to_owned());
        } else {
            meaning.push(format!("{sentence}."));
        }
    }
    if let Some((before, _)) = description.split_once(" (default)") {
        default = before.split_whitespace().next_back().map(str::to_owned).map(Default::Value);
    }
    let items = node.get("items");
    let reference = [Some(node), items].into_iter().flatten().find_map(|one| one.get("$ref"));
    let mapping = reference.and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
    Field {
        key: key.to_owned(),
        kind: kind(node),
        is_required,
        default,
        bounds,
        meaning: meaning.join(" "),
        mapping: mapping.map(str::to_owned),
        is_list: items.is_some(),
    }
}

/// Without their full stops. One behind a space ends nothing.
fn sentences(text: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut rest = text.strip_suffix('.').unwrap_or(text);
    let mut from = 0;
    while let Some(at) = rest.get(from..).and_then(|text| text.find(". ")).map(|at| from + at) {
        let (sentence, next) = (rest.get(..at), rest.get(at + 2..));
        let (Some(sentence), Some(next)) = (sentence, next) else { break };
        if sentence.ends_with(' ') {
            from = at + 1;
        } else {
            sentences.push(sentence);
            (rest, from) = (next, 0);
        }
    }
    sentences.push(rest);
    sentences.retain(|sentence| !sentence.is_empty());
    sentences
}

fn is_value(text: &str) -> bool {
    !text.contains(' ')
}

fn is_bounds(sentence: &str) -> bool {
    let begins = ["From ", "At least ", "At most "].iter().any(|start| sentence.starts_with(start));
    begins && sentence.contains(|c: char| c.is_ascii_digit())
}

/// What is written there, for people.
fn kind(node: &Value) -> String {
    if node.get("$ref").is_some() {
        return "mapping".to_owned();
    }
    if let Some(word) = node.get("const") {
        return format!("`{}`", plain(word));
    }
    if let Some(Value::Array(words)) = node.get("enum") {
        let words: Vec<String> = words.iter().map(|word| format!("`{}`", plain(word))).collect();
        return words.join(", ");
    }
    if let Some(Value::Array(kinds)) = node.get("anyOf") {
        return kinds.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    if let Some(pattern) = node.get("pattern").and_then(Value::as_str) {
        let named = patterns().into_iter().find(|(known, _)| known.as_deref() == Some(pattern));
        // Addresses have the only pattern that is no scalar's.
        return named.map_or("address", |(_, kind)| kind).to_owned();
    }
    match node.get("type").and_then(Value::as_str) {
        Some("array") => format!("list: {}", node.get("items").map_or_else(String::new, kind)),
        Some("string") => "text".to_owned(),
        Some("integer") => "number".to_owned(),
        Some("boolean") => "`true`, `false`".to_owned(),
        Some(_) | None if node.get("type").is_some_and(Value::is_array) => {
            "text or list: text".to_owned()
        }
        Some(_) | None => "any value".to_owned(),
    }
}

/// The scalars that the schema knows by their pattern.
fn patterns() -> [(Option<String>, &'static str); 6] {
    fn of<S: Written>() -> Option<String> {
        S::schema().get("pattern").and_then(Value::as_str).map(str::to_owned)
    }
    [
        (of::<std::time::Duration>(), "duration"),
        (of::<Age>(), "duration or `unlimited`"),
        (of::<MaxStale>(), "duration or `unlimited`"),
        (of::<Size>(), "size"),
        (of::<FileMode>(), "permission bits"),
        (of::<Moment>(), "time"),
    ]
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let values = value.and_then(Value::as_array).into_iter().flatten();
    values.filter_map(Value::as_str).map(str::to_owned).collect()
}
