//! How a path may be read. Envoy sends it raw unless it was told to normalise; the upstream may decode,
//! merge and resolve it in its own way. A path that everybody reads alike is *plain*. Any other has several
//! readings, and [`super::rules`] takes the strictest view of them.

/// A request's path, without its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestPath<'a> {
    /// There is only one way to read it.
    Plain(&'a str),
    /// Plain but for escapes that stand for ordinary characters: whoever decodes it and whoever does not see the same
    /// segments.
    Escaped {
        /// As sent.
        raw: &'a str,
        /// With each escape decoded.
        decoded: String,
    },
    /// Every way we know that it may be read, as sent first. None is trusted to be the right one.
    Ambiguous(Vec<String>),
    /// Too long, or holds octets that no reading agrees on: an invalid escape, a control character,
    /// something that is not UTF-8. No rule matches.
    Unreadable,
}

/// Longer paths, without their query, match no rule. What is looked for in one takes time; servers commonly take no
/// more for the whole request line (RFC 9110 §4.1 asks for 8,000).
const MAX_BYTES: usize = 8 * 1024;

/// All readings of a path together. A path that needs more was written to be misread.
const MAX_READINGS: usize = 64;
const MAX_BYTES_OF_READINGS: usize = 8 * MAX_BYTES;

impl<'a> RequestPath<'a> {
    /// Reads the path of a request target, up to its `?`.
    pub fn parse(target: &'a str) -> Self {
        let path = target.split('?').next().unwrap_or_default();
        if path.len() > MAX_BYTES {
            return Self::Unreadable;
        }
        if is_plain(path) {
            return Self::Plain(path);
        }
        if let Some(decoded) = harmlessly_decoded(path) {
            return Self::Escaped { raw: path, decoded };
        }
        readings(path).map_or(Self::Unreadable, Self::Ambiguous)
    }
}

/// Starts with a slash, and holds no empty segment, dot segment, parameter, backslash, fragment, escape
/// or octet outside visible ASCII.
fn is_plain(path: &str) -> bool {
    if !path.starts_with('/') {
        return false;
    }
    let mut previous = b' ';
    for byte in path.bytes() {
        let odd = match byte {
            b'%' | b';' | b'\\' | b'#' | 0..=b' ' | 0x7f.. => true,
            b'/' => previous == b'/',
            _ => false,
        };
        if odd {
            return false;
        }
        previous = byte;
    }
    !has_dot_segment(path)
}

fn has_dot_segment(path: &str) -> bool {
    path.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// A path with nothing odd in it but escapes, none of which stands for something that a reader acts upon: a
/// separator, a dot, another escape, the beginning of a query, a fragment or a parameter, a control character.
fn harmlessly_decoded(path: &str) -> Option<String> {
    const ACTED_UPON: &[u8] = b"/\\.%?#;";
    let mut rest = path;
    while let Some((_, tail)) = rest.split_once('%') {
        let octet = escape(tail.as_bytes())?;
        if ACTED_UPON.contains(&octet) || octet.is_ascii_control() {
            return None;
        }
        rest = tail;
    }
    let decoded = String::from_utf8(octets(path)).ok()?;
    // C1 controls are made of two octets.
    let is_readable = !decoded.chars().any(char::is_control);
    // Nor does one that knows ASCII only, or trims: `/．．/` and `/.. /` are no segments to pass over.
    let is_firm = trimmed(&decoded) == decoded && {
        let narrow = narrowed(&decoded);
        let slashes = |text: &str| text.matches(['/', '\\']).count();
        slashes(&narrow) == slashes(&decoded) && !has_dot_segment(&narrow)
    };
    (is_readable && is_firm && is_plain(&path.replace('%', ""))).then_some(decoded)
}

/// Every reading of a path that is not plain. `None` when it cannot be read at all.
///
/// Readers do the same things to a path in different orders, and each order gives another result: whoever
/// decodes `/a%3f/%2e%2e/b` and then resolves it gets `/b`, whoever cuts it at the `?` first gets `/a`. So
/// what one step makes is given to every other step again, until nothing new comes.
fn readings(path: &str) -> Option<Vec<String>> {
    // As sent, an escape must be one. What a second decoding finds may be a plain percent sign.
    if !is_decodable(path) || is_absolute_form(path) {
        return None;
    }
    let mut readings = vec![path.to_owned()];
    let mut bytes = path.len();
    let mut next = 0;
    while let Some(current) = readings.get(next).cloned() {
        next += 1;
        if current.contains(|c: char| c.is_control()) {
            return None;
        }
        for step in STEPS {
            let reading = step(&current);
            if readings.contains(&reading) {
                continue;
            }
            bytes += reading.len();
            if readings.len() == MAX_READINGS || bytes > MAX_BYTES_OF_READINGS {
                return None;
            }
            readings.push(reading);
        }
    }
    Some(readings)
}

/// What readers do to a path. Done often enough, each changes nothing more.
const STEPS: [fn(&str) -> String; 10] = [
    rooted,
    decoded,
    with_slashes,
    narrowed,
    trimmed,
    without_dot_segments,
    without_empty_segments,
    without_parameters,
    without_fragment,
    without_authority,
];

/// `http://host/path`, whose host is not the one that the rules see.
fn is_absolute_form(path: &str) -> bool {
    !path.starts_with('/') && path.contains("://")
}

/// Whether every escape is one and all octets together are UTF-8.
fn is_decodable(path: &str) -> bool {
    let mut rest = path;
    while let Some((_, tail)) = rest.split_once('%') {
        if escape(tail.as_bytes()).is_none() {
            return false;
        }
        rest = tail;
    }
    String::from_utf8(octets(path)).is_ok()
}

fn rooted(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

/// One round of percent-decoding, as lenient as any reader: what is no escape stays.
fn decoded(path: &str) -> String {
    String::from_utf8_lossy(&octets(path)).into_owned()
}

/// What is no escape stands for itself.
pub(super) fn octets(path: &str) -> Vec<u8> {
    let mut octets = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        let escaped = if *byte == b'%' { escape(tail) } else { None };
        octets.push(escaped.unwrap_or(*byte));
        let used = if escaped.is_some() { 2 } else { 0 };
        rest = tail.get(used..).unwrap_or_default();
    }
    octets
}

/// The octet that the two digits after a `%` stand for.
fn escape(digits: &[u8]) -> Option<u8> {
    let digit = |place: usize| char::from(*digits.get(place)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

fn with_slashes(path: &str) -> String {
    path.replace('\\', "/")
}

/// Dots and slashes as compatibility decomposition (NFKC) or a best fit in ASCII has them.
fn narrowed(path: &str) -> String {
    let mut narrow = String::with_capacity(path.len());
    for character in path.chars() {
        match character {
            '\u{2024}' | '\u{fe52}' | '\u{ff0e}' => narrow.push('.'),
            '\u{2025}' | '\u{fe30}' => narrow.push_str(".."),
            '\u{2044}' | '\u{2215}' | '\u{29f8}' | '\u{ff0f}' => narrow.push('/'),
            '\u{2216}' | '\u{29f5}' | '\u{fe68}' | '\u{ff3c}' => narrow.push('\\'),
            other => narrow.push(other),
        }
    }
    narrow
}

/// Without the white space that some file systems and servers drop: at the end of a segment, and around dots.
fn trimmed(path: &str) -> String {
    let bare = path.split('/').map(|segment| match segment.trim() {
        dots @ ("." | "..") => dots,
        _ => segment.trim_end(),
    });
    bare.collect::<Vec<_>>().join("/")
}

/// RFC 3986 §5.2.4: an empty segment is one that `..` takes away.
fn without_dot_segments(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    let (root, relative) = path.strip_prefix('/').map_or(("", path), |relative| ("/", relative));
    let mut is_directory = false;
    for segment in relative.split('/') {
        is_directory = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    if is_directory {
        segments.push("");
    }
    format!("{root}{}", segments.join("/"))
}

fn without_empty_segments(path: &str) -> String {
    let mut merged = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !merged.ends_with('/') {
            merged.push(character);
        }
    }
    merged
}

/// `/a;b=c/d` is `/a/d` to servlets.
fn without_parameters(path: &str) -> String {
    let bare = path.split('/').map(|segment| segment.split(';').next().unwrap_or_default());
    bare.collect::<Vec<_>>().join("/")
}

fn without_fragment(path: &str) -> String {
    path.split(['#', '?']).next().unwrap_or_default().to_owned()
}

/// `//host/path` is a reference to another host (RFC 3986 §4.2), and URL parsers take it for one.
fn without_authority(path: &str) -> String {
    if !path.starts_with("//") {
        return path.to_owned();
    }
    let rest = path.trim_start_matches('/');
    rest.find('/').and_then(|start| rest.get(start..)).unwrap_or("/").to_owned()
}

#[cfg(test)]
mod tests;
