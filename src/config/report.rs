//! Mistakes in a configuration: where, what was found, what is accepted. Collected while the file is read
//! ([`super::read`]) and compiled ([`super::compile`]), printed by `claimgate check` and `serve`, one line each.
//!
//! What was found is quoted only where it cannot be a secret: see [`describe`].

use std::fmt;

use serde_json::Value;

/// Everything that is wrong with a configuration, at least one thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct ConfigErrors(Vec<ConfigError>);

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct ConfigError {
    /// The YAML path (`issuers[0].audiences`), `line 3, column 5` of a file that is no YAML, or the name of a
    /// file that cannot be read.
    pub place: String,
    /// What was found and what is accepted. One line, without secrets.
    pub message: String,
}

impl ConfigErrors {
    /// The mistakes in the order of the document.
    pub fn errors(&self) -> &[ConfigError] {
        &self.0
    }

    /// One mistake.
    pub(crate) fn one(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self(vec![ConfigError { place: place.into(), message: message.into() }])
    }
}

fn lines(errors: &[ConfigError]) -> String {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// A place in the document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Path(Vec<Step>);

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Into a mapping.
    Key(String),
    /// Into a list.
    Index(usize),
}

impl Path {
    pub(super) fn new(steps: Vec<Step>) -> Self {
        Self(steps)
    }

    pub(super) fn key(&self, key: &str) -> Self {
        self.step(Step::Key(key.to_owned()))
    }

    pub(super) fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    fn step(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }

    pub(super) fn is_below_key(&self, key: &str) -> bool {
        self.0.iter().any(|step| matches!(step, Step::Key(name) if name == key))
    }

    /// Its place in the order of `document`; what is not there comes after what is.
    fn position(&self, document: &Value) -> Vec<usize> {
        let mut node = Some(document);
        let place = |step: &Step| match step {
            Step::Index(index) => {
                node = node.and_then(|node| node.get(*index));
                *index
            }
            Step::Key(key) => {
                let entries = node.and_then(Value::as_object);
                let place = entries.and_then(|entries| entries.keys().position(|name| name == key));
                node = node.and_then(|node| node.get(key));
                place.unwrap_or(usize::MAX)
            }
        };
        self.0.iter().map(place).collect()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the file");
        }
        for (place, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if place == 0 => f.write_str(&cut(key))?,
                Step::Key(key) => write!(f, ".{}", cut(key))?,
            }
        }
        Ok(())
    }
}

/// Collects mistakes.
#[derive(Debug)]
pub(super) struct Report {
    document: Value,
    mistakes: Vec<(Path, String)>,
    /// Known keys that were probably meant by unknown ones.
    misspelled: Vec<Path>,
}

impl Report {
    /// For mistakes in `document`.
    pub(super) fn new(document: Value) -> Self {
        Self { document, mistakes: Vec::new(), misspelled: Vec::new() }
    }

    /// The value at `path` is not what is accepted there.
    pub(super) fn wrong(
        &mut self,
        path: &Path,
        found: impl fmt::Display,
        expected: impl fmt::Display,
    ) {
        self.say(path, format!("found {found}, expected {expected}"));
    }

    /// There is nothing at `path`. Not said of a place whose content was a mistake already.
    pub(super) fn missing(&mut self, path: &Path, expected: impl fmt::Display) {
        if !self.has(path) {
            self.say(path, format!("missing, expected {expected}"));
        }
    }

    /// Nobody knows the key at `path`, only the `known` ones beside it.
    pub(super) fn unknown_key(&mut self, path: &Path, known: &[&str]) {
        let Some((Step::Key(key), parent)) = path.0.split_last() else { return };
        let nearest = nearest(key, known.iter().copied());
        let hint = nearest
            .map_or_else(|| ",".to_owned(), |nearest| format!(", did you mean \"{nearest}\"?"));
        self.misspelled.extend(nearest.map(|nearest| Path(parent.to_vec()).key(nearest)));
        self.say(path, format!("unknown key{hint} expected one of {}", known.join(", ")));
    }

    /// Any other mistake.
    pub(super) fn say(&mut self, path: &Path, message: String) {
        self.mistakes.push((path.clone(), message));
    }

    /// Whether something was wrong with exactly this place already, its key's spelling included.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.mistakes.iter().any(|(other, _)| other == path) || self.misspelled.contains(path)
    }

    /// Whether something was wrong with an entry of the mapping at `path`.
    pub(super) fn has_in(&self, path: &Path) -> bool {
        let is_in = |other: &Path| other.0.split_last().is_some_and(|(_, parent)| parent == path.0);
        self.mistakes.iter().any(|(other, _)| is_in(other))
    }

    /// Whether something was wrong with the place at `path`, its key's spelling, or anything in it.
    pub(super) fn has_below(&self, path: &Path) -> bool {
        let is_below = |other: &Path| other.0.starts_with(&path.0);
        self.mistakes.iter().any(|(other, _)| is_below(other)) || self.misspelled.contains(path)
    }

    pub(super) fn len(&self) -> usize {
        self.mistakes.len()
    }

    /// The mistakes in the order of the document, if there are any.
    pub(super) fn into_errors(self) -> Option<ConfigErrors> {
        let Self { document, mut mistakes, misspelled: _ } = self;
        if mistakes.is_empty() {
            return None;
        }
        mistakes.sort_by_key(|(path, _)| path.position(&document));
        let errors = mistakes.into_iter();
        let errors = errors.map(|(path, message)| ConfigError { place: path.to_string(), message });
        Some(ConfigErrors(errors.collect()))
    }
}

/// Names what was found. Text that may hold a secret (anything below `jwks`, `command` and `secret_hashes`, URLs with a
/// userinfo or a query, key files) is named, not quoted.
pub(super) fn describe(path: &Path, value: &Value) -> String {
    let may_be_secret =
        ["jwks", "command", "secret_hashes"].iter().any(|key| path.is_below_key(key));
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(_) | Value::Number(_) if may_be_secret => "a scalar".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => cut(&value.to_string()),
        Value::String(_) if may_be_secret => "a string".to_owned(),
        Value::String(text) => quote(text),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}

/// Quotes text that was found, unless it may hold a secret.
pub(super) fn quote(text: &str) -> String {
    if text.contains('@') {
        return "text with an \"@\" (not shown)".to_owned();
    }
    if text.contains(['\n', '{']) || text.contains("-----") {
        return "a text (not shown)".to_owned();
    }
    let is_url = text.contains("://");
    let shown = if is_url { text.split(['?', '#']).next().unwrap_or_default() } else { text };
    let more = if shown.len() < text.len() { "…" } else { "" };
    format!("\"{}{more}\"", cut(shown))
}

/// The first characters, those escaped that would disturb a line of text.
fn cut(text: &str) -> String {
    const SHOWN: usize = 40;
    let shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    let mut shown = shown.replace("\\'", "'");
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// `", did you mean "x"?"` when one of `known` is near to `text`, or nothing.
pub(super) fn suggestion<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(text, known).map_or_else(String::new, |name| format!(", did you mean \"{name}\"?"))
}

fn nearest<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Comparing takes the product of both lengths.
    if text.len() > 64 {
        return None;
    }
    let near = known.map(|name| (strsim::damerau_levenshtein(text, name), name));
    let near = near.filter(|(distance, name)| *distance <= 1 + name.chars().count() / 3);
    near.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn found_text_is_cut_escaped_and_never_a_secret() {
        assert_eq!(quote("a\tb\u{1b}"), "\"a\\tb\\u{1b}\"");
        assert_eq!(quote(&"ä".repeat(50)), format!("\"{}…\"", "ä".repeat(40)));
        assert_eq!(quote("https://h/p?token=secret"), "\"https://h/p…\"");
        for secret in
            ["https://u:secret@h/", "https:u:secret@h", "-----BEGIN secret", "{\"d\":\"secret\"}"]
        {
            assert!(!quote(secret).contains("secret"), "{secret}");
        }
        let path = Path::default().key("keys").index(0).key("jwks");
        assert_eq!(describe(&path, &json!("secret")), "a string");
    }

    #[test]
    fn mistakes_come_in_the_order_of_the_document_whenever_they_were_found() {
        let mut report = Report::new(json!({"z": [1, {"q": 1, "p": 2}], "a": 1}));
        let root = Path::default();
        report.missing(&root.key("nowhere"), "x");
        report.wrong(&root.key("a"), 1, "x");
        report.wrong(&root.key("z").index(1).key("p"), 2, "x");
        report.wrong(&root.key("z").index(1).key("q"), 1, "x");
        report.missing(&root.key("a"), "said already");
        let errors = report.into_errors().unwrap();
        let places: Vec<&str> = errors.errors().iter().map(|error| error.place.as_str()).collect();
        assert_eq!(places, ["z[1].q", "z[1].p", "a", "nowhere"]);
        assert!(errors.to_string().starts_with("z[1].q: found 1, expected x\nz[1].p: found 2"));
    }
}
