//! Text → [`super::raw`], with every mistake in the form of the document, not only the first: what serde
//! complains of is noted, taken out, and the rest is read again.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;
use serde_saphyr::DuplicateKeyPolicy;

use super::report::{ConfigErrors, Path, Report, Step, describe, quote};
use super::scalar::Mapping;

/// Longer files are refused.
pub(super) const MAX_BYTES: usize = 1024 * 1024;

/// What aliases may stand for, all together, in parts of YAML: scalars, beginnings and ends.
const MAX_REPLAYED: usize = 50_000;

/// After so many mistakes in its form, the rest of a document is not looked at.
const MAX_MISTAKES: usize = 100;

/// Reads the document's form. What was wrong with it is in the report, and missing from the result.
pub(super) fn read<R: DeserializeOwned>(text: &str) -> Result<(R, Report), ConfigErrors> {
    let document = parse(text)?;
    let mut report = Report::new(document.clone());
    let mut rest = document;
    let raw = loop {
        match serde_path_to_error::deserialize::<_, Mapping<R>>(&rest) {
            Ok(Mapping(raw)) => break raw,
            Err(error) => {
                let path = path_of(error.path());
                let message = error.into_inner().to_string();
                if !report.has(&path) {
                    complain(&mut report, &path, &message, &rest);
                }
                take_out(&mut rest, &path, message.starts_with(UNKNOWN_KEY));
            }
        }
        if nothing_is_left(&rest) || report.len() >= MAX_MISTAKES {
            return Err(report.into_errors().unwrap_or_else(too_many));
        }
    };
    complain_of_nulls(&mut report, &Path::default(), &rest);
    Ok((raw, report))
}

fn parse(text: &str) -> Result<Value, ConfigErrors> {
    if text.len() > MAX_BYTES {
        let message = format!("longer than {MAX_BYTES} bytes, which is the limit");
        return Err(ConfigErrors::one("the file", message));
    }
    // The other limits of the library (depth, aliases, nodes) stay in force. Snippets would quote secrets.
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        // Aliases of aliases of aliases: a few lines could ask for all memory there is.
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPLAYED },
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options::<Value>(text, options).map_err(|error| {
        let place = error.location().map_or_else(
            || "the file".to_owned(),
            |location| format!("line {}, column {}", location.line(), location.column()),
        );
        let message = syntax_message(error.without_snippet());
        ConfigErrors::one(place, message)
    })
}

/// What is wrong with the YAML itself. The scanner's own words are constants, give or take one
/// character; those of other errors may repeat values, which may be secrets, and are not passed on.
fn syntax_message(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error;
    if let Error::DuplicateMappingKey { key, .. } = error {
        let key = key.as_deref().unwrap_or_default();
        return format!("the key {} is there twice, expected once", quote(key));
    }
    if let Error::MultipleDocuments { .. } = error {
        return "a second YAML document, expected one".to_owned();
    }
    if let Error::ExternalMessage { msg, .. } = error {
        // It quotes characters of the document, which may be control characters; its own quotes stay.
        let msg = msg.escape_debug().to_string().replace("\\'", "'");
        return format!("not valid YAML: {msg}");
    }
    if let Error::UnknownAnchor { .. } = error {
        return "an alias (*) of something that has no anchor (&) before it".to_owned();
    }
    "not valid YAML, or more than a configuration needs".to_owned()
}

const UNKNOWN_KEY: &str = "unknown field `";

fn complain(report: &mut Report, path: &Path, message: &str, rest: &Value) {
    let (complaint, expected) = message.rsplit_once(", expected ").unwrap_or((message, ""));
    if complaint.starts_with(UNKNOWN_KEY) {
        // serde quotes each of them: "one of `a`, `b`" or "`a` or `b`".
        let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
        report.unknown_key(path, &known);
        return;
    }
    let expected = match expected {
        "a boolean" => "true or false",
        expected => expected,
    };
    report.wrong(path, describe(path, find(rest, path).unwrap_or(&Value::Null)), expected);
}

/// Keys that are there without a value were left unfinished; treating them as absent could open a rule.
fn complain_of_nulls(report: &mut Report, path: &Path, value: &Value) {
    match value {
        Value::Null if report.has(path) => {}
        Value::Null => report.wrong(path, "nothing", "a value, or no such key"),
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                complain_of_nulls(report, &path.index(index), element);
            }
        }
        Value::Object(entries) => {
            // An inline JWK Set is read by strict rules of its own.
            for (key, value) in entries.iter().filter(|(key, _)| *key != "jwks") {
                complain_of_nulls(report, &path.key(key), value);
            }
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn path_of(path: &serde_path_to_error::Path) -> Path {
    let steps = path.iter().filter_map(|segment| match segment {
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Map { key } => Some(Step::Key(key.clone())),
        Segment::Enum { .. } | Segment::Unknown => None,
    });
    Path::new(steps.collect())
}

/// Takes out what was complained of. An unknown key goes; anything else becomes null, so that the elements
/// of a list keep their index. What is null already goes with what it is in.
fn take_out(document: &mut Value, path: &Path, is_unknown_key: bool) {
    let mut steps = path.steps();
    if let (true, Some((Step::Key(key), parent))) = (is_unknown_key, steps.split_last()) {
        if let Some(Value::Object(entries)) = find_mut(document, parent) {
            entries.shift_remove(key);
        }
        return;
    }
    loop {
        match find_mut(document, steps) {
            Some(Value::Null) | None if !steps.is_empty() => {
                steps = steps.split_last().map_or(&[], |(_, parent)| parent);
            }
            Some(node) => {
                *node = Value::Null;
                return;
            }
            None => return,
        }
    }
}

fn nothing_is_left(document: &Value) -> bool {
    document.is_null()
}

fn too_many() -> ConfigErrors {
    ConfigErrors::one("the file", "too many mistakes")
}

fn find<'a>(document: &'a Value, path: &Path) -> Option<&'a Value> {
    path.steps().iter().try_fold(document, |node, step| match step {
        Step::Key(key) => node.get(key),
        Step::Index(index) => node.get(*index),
    })
}

fn find_mut<'a>(document: &'a mut Value, steps: &[Step]) -> Option<&'a mut Value> {
    steps.iter().try_fold(document, |node, step| match step {
        Step::Key(key) => node.get_mut(key),
        Step::Index(index) => node.get_mut(*index),
    })
}
