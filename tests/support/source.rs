//! Reads the paths out of a Rust source file: what it imports and what it names in full. Good enough for code that
//! compiles and is formatted; not a parser. Called by tests/layering.rs.
//!
//! Comments, string literals and `#[cfg(test)]` items are left out. Paths come back absolute: `super::jwks::Jwk` in
//! keys/store.rs is `crate::keys::jwks::Jwk`; what starts with a crate's name stays as it is.

/// One path, and where it stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) line: usize,
    pub(crate) path: String,
}

/// Every path in `source`, which is the file of the module `module` ("keys::store"; "" for the crate's root).
pub(crate) fn paths(module: &str, source: &str) -> Vec<Named> {
    let tokens = without_tests(&tokens(&blank(source)));
    Reader {
        tokens: &tokens,
        at: 0,
        modules: vec![(module_path(module), 0)],
        depth: 0,
        found: vec![],
    }
    .read()
}

fn module_path(module: &str) -> Vec<String> {
    let names = module.split("::").filter(|name| !name.is_empty()).map(str::to_owned);
    std::iter::once("crate".to_owned()).chain(names).collect()
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    line: usize,
    text: String,
}

/// Walks the tokens once, keeping count of the inline modules it is in.
struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    /// The module paths it is in, innermost last, each with the brace depth that it ends at.
    modules: Vec<(Vec<String>, usize)>,
    depth: usize,
    found: Vec<Named>,
}

impl Reader<'_> {
    fn read(mut self) -> Vec<Named> {
        while let Some(token) = self.tokens.get(self.at) {
            match token.text.as_str() {
                "use" => {
                    self.at += 1;
                    self.use_tree(&[]);
                }
                "mod" if self.text(2) == "{" => {
                    let mut path = self.module();
                    path.push(self.text(1).to_owned());
                    self.depth += 1;
                    self.modules.push((path, self.depth));
                    self.at += 3;
                }
                "{" => {
                    self.depth += 1;
                    self.at += 1;
                }
                "}" => {
                    self.modules.pop_if(|(_, depth)| *depth == self.depth && *depth > 0);
                    self.depth = self.depth.saturating_sub(1);
                    self.at += 1;
                }
                _ if is_name(&token.text) && self.text(1) == "::" => self.inline_path(),
                _ => self.at += 1,
            }
        }
        self.found
    }

    /// `prefix::{a, b::c as d, e::*}`, up to what follows it.
    fn use_tree(&mut self, prefix: &[String]) {
        let mut path = prefix.to_vec();
        let line = self.tokens.get(self.at).map_or(0, |token| token.line);
        loop {
            match self.text(0) {
                "::" => self.at += 1,
                "{" => {
                    self.at += 1;
                    while !matches!(self.text(0), "}" | "") {
                        self.use_tree(&path);
                        if self.text(0) == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                "as" => self.at += 2,
                "*" => {
                    path.push("*".to_owned());
                    self.at += 1;
                }
                name if is_name(name) => {
                    path.push(name.to_owned());
                    self.at += 1;
                }
                _ => break,
            }
        }
        self.note(line, &path);
    }

    /// `a::b::c` in an expression or a type, as far as the generics.
    fn inline_path(&mut self) {
        let line = self.tokens.get(self.at).map_or(0, |token| token.line);
        let mut path = vec![self.text(0).to_owned()];
        self.at += 1;
        while self.text(0) == "::" && is_name(self.text(1)) {
            path.push(self.text(1).to_owned());
            self.at += 2;
        }
        self.note(line, &path);
    }

    fn note(&mut self, line: usize, path: &[String]) {
        let mut absolute: Vec<String> = vec![];
        for name in path {
            match name.as_str() {
                "self" if absolute.is_empty() => absolute = self.module(),
                "self" => {}
                "super" if absolute.is_empty() => {
                    absolute = self.module();
                    absolute.pop();
                }
                "super" => {
                    absolute.pop();
                }
                _ => absolute.push(name.clone()),
            }
        }
        if !absolute.is_empty() {
            self.found.push(Named { line, path: absolute.join("::") });
        }
    }

    fn module(&self) -> Vec<String> {
        self.modules.last().map(|(path, _)| path.clone()).unwrap_or_default()
    }

    fn text(&self, ahead: usize) -> &str {
        self.tokens.get(self.at + ahead).map_or("", |token| token.text.as_str())
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Drops each `#[cfg(test)]` with the item that follows it.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = vec![];
    let mut rest = tokens;
    while let Some((first, after)) = rest.split_first() {
        let marked = rest.len() >= MARK.len() && rest.iter().zip(MARK).all(|(t, m)| t.text == m);
        if marked {
            rest = &rest[item_length(rest, MARK.len())..];
        } else {
            kept.push(first.clone());
            rest = after;
        }
    }
    kept
}

/// Where the item that begins at `from` ends: behind its `;`, or behind the brace that closes its first one.
fn item_length(tokens: &[Token], from: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(from) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && token.text == "}" {
                    // The braces of a `use` are followed by its semicolon.
                    let semicolon = tokens.get(index + 1).is_some_and(|next| next.text == ";");
                    return index + 1 + usize::from(semicolon);
                }
            }
            ";" if depth == 0 => return index + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// Names, `::`, and single other characters.
fn tokens(source: &str) -> Vec<Token> {
    let mut found: Vec<Token> = vec![];
    for (index, text) in source.lines().enumerate() {
        let line = index + 1;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let mut text = c.to_string();
            if c.is_alphanumeric() || c == '_' {
                while let Some(next) = chars.next_if(|n| n.is_alphanumeric() || *n == '_') {
                    text.push(next);
                }
            } else if c == ':' && chars.next_if_eq(&':').is_some() {
                text.push(':');
            } else if c.is_whitespace() {
                continue;
            }
            found.push(Token { line, text });
        }
    }
    found
}

/// The source with comments and the contents of literals blanked out, lines kept.
fn blank(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_or_comment(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.push(' ');
            out.extend(chars[at..end].iter().filter(|c| **c == '\n'));
            at = end;
        }
    }
    out
}

/// Where the comment or literal that begins at `at` ends; `at` itself when none begins there.
fn literal_or_comment(chars: &[char], at: usize) -> usize {
    let starts = |text: &str| text.chars().eq(chars.iter().copied().skip(at).take(text.len()));
    let word_before = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    if starts("//") {
        return position(chars, at, "\n");
    }
    if starts("/*") {
        return block_comment(chars, at);
    }
    if chars[at] == '"' {
        return quoted(chars, at + 1, '"');
    }
    if !word_before && (starts("r\"") || starts("r#") || starts("br\"") || starts("br#")) {
        let hashes = chars[at..].iter().skip_while(|c| c.is_alphabetic());
        let hashes = hashes.take_while(|c| **c == '#').count();
        let quote = at + chars[at..].iter().take_while(|c| c.is_alphabetic()).count() + hashes;
        // `r#type` is a name, not a literal.
        if chars.get(quote) == Some(&'"') {
            let close = format!("\"{}", "#".repeat(hashes));
            return (position(chars, quote + 1, &close) + close.len()).min(chars.len());
        }
    }
    // A character, not a lifetime: `'x'` or `'\…'`.
    if chars[at] == '\'' && (chars.get(at + 1) == Some(&'\\') || chars.get(at + 2) == Some(&'\'')) {
        return quoted(chars, at + 1, '\'');
    }
    at
}

fn block_comment(chars: &[char], at: usize) -> usize {
    let mut depth = 0_usize;
    let mut here = at;
    while here < chars.len() {
        match (chars[here], chars.get(here + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                here += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                here += 2;
                if depth == 0 {
                    return here;
                }
            }
            _ => here += 1,
        }
    }
    here
}

fn quoted(chars: &[char], mut at: usize, close: char) -> usize {
    while at < chars.len() && chars[at] != close {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

fn position(chars: &[char], from: usize, text: &str) -> usize {
    let wanted: Vec<char> = text.chars().collect();
    let found = chars.get(from..).unwrap_or(&[]).windows(wanted.len()).position(|w| w == wanted);
    found.map_or(chars.len(), |offset| from + offset)
}
