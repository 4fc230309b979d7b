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
mod tests {
    use super::*;

    fn has_reading(target: &str, reading: &str) -> bool {
        match RequestPath::parse(target) {
            RequestPath::Plain(path) => path == reading,
            RequestPath::Escaped { raw, decoded } => raw == reading || decoded == reading,
            RequestPath::Ambiguous(readings) => readings.iter().any(|one| one == reading),
            RequestPath::Unreadable => false,
        }
    }

    #[test]
    fn ordinary_paths_are_plain_whatever_their_query() {
        for target in ["/", "/a", "/a/b.c/", "/a?x=//../%2f;", "/.well-known/x", "/a..b", "/~u/@v"]
        {
            assert!(matches!(RequestPath::parse(target), RequestPath::Plain(_)), "{target}");
        }
    }

    #[test]
    fn whatever_can_be_read_in_two_ways_is_not_plain() {
        for target in [
            "",
            "*",
            "a",
            "//",
            "/a//b",
            "/./a",
            "/a/.",
            "/a/..",
            "/../a",
            "/a;b",
            "/a\\b",
            "/a%2fb",
            "/a%5cb",
            "/%2e%2e/a",
            "/a%00",
            "/a%",
            "/a%zz",
            "/a%2",
            "/a#b",
            "/a b",
            "/a\tb",
            "/ä",
            "http://h/a",
            "/%61",
            "/a%252fb",
        ] {
            assert!(!matches!(RequestPath::parse(target), RequestPath::Plain(_)), "{target:?}");
        }
    }

    #[test]
    fn every_way_around_a_prefix_has_it_among_its_readings() {
        for target in [
            "/public/../admin",
            "/public/..;/admin",
            "/public/%2e%2e/admin",
            "/public/.%2e/admin",
            "/public/..%2fadmin",
            "/public/..%252fadmin",
            "/public/%252e%252e/admin",
            "//admin",
            "/public//..//admin",
            "/public\\..\\admin",
            "/public/..%5cadmin",
            "/./admin",
            "/;x/admin",
            "/public/../admin;x=1",
            "/admin;x",
            "/%61dmin",
            "/%2561dmin",
            "admin",
            "/admin#/public",
            "/admin%23x",
            "/admin%3fx",
        ] {
            assert!(has_reading(target, "/admin"), "{target}: {:?}", RequestPath::parse(target));
        }
    }

    #[test]
    fn characters_that_some_readers_take_for_separators_and_dots_are_not_harmless() {
        for target in [
            "/public/%EF%BC%8E%EF%BC%8E/admin",
            "/public/..%EF%BC%8Fadmin",
            "/public%EF%BC%8F%E2%80%A5%EF%BC%BCadmin",
            "/public/%E2%80%A4%E2%80%A4/admin",
            "/public/%EF%B9%92%EF%B9%92%EF%BC%8Fadmin",
            "/public/..%E2%88%95admin",
            "/public/..%E2%81%84admin",
            "/public/..%20/admin",
            "/public/%20../admin",
            "/public/..%C2%A0/admin",
            "/admin%20",
            "/admin%E3%80%80",
        ] {
            let path = RequestPath::parse(target);
            assert!(matches!(path, RequestPath::Ambiguous(_)), "{target}: {path:?}");
            assert!(has_reading(target, "/admin"), "{target}: {path:?}");
        }
        // Such characters within a name are part of it.
        for target in ["/No%EF%BC%8E1", "/%20a", "/what%EF%BC%9F", "/%E2%80%A6"] {
            let path = RequestPath::parse(target);
            assert!(matches!(path, RequestPath::Escaped { .. }), "{target}: {path:?}");
        }
    }

    /// Each of these is what a reader that works in its own order makes of the target.
    #[test]
    fn every_order_of_decoding_cutting_and_resolving_is_among_the_readings() {
        for target in [
            // Decoded, then resolved, and never cut.
            "/public%3f/%2e%2e/admin",
            "/public%23/%2e%2e/admin",
            "/public#/../admin",
            // Parameters gone, then decoded, then resolved.
            "/public/..;a%2fb/%61dmin",
            // Resolved, then decoded.
            "/x%2fy/../%61dmin",
            // A backslash for an ordinary character.
            "/a\\b/../admin",
            // Decoded twice by somebody who leaves alone what is no escape.
            "/%25/..%252fadmin",
            // Taken for a host and its path.
            "//host/admin",
            "/\\host/admin",
        ] {
            assert!(has_reading(target, "/admin"), "{target}: {:?}", RequestPath::parse(target));
        }
        // With an empty segment for one (RFC 3986 §5.2.4), and without.
        assert!(has_reading("/x//../admin", "/x/admin"));
        assert!(has_reading("/x//../admin", "/admin"));
    }

    #[test]
    fn an_absolute_target_names_a_host_that_no_rule_saw_and_matches_nothing() {
        assert_eq!(RequestPath::parse("http://admin/x"), RequestPath::Unreadable);
    }

    #[test]
    fn a_path_with_too_many_readings_matches_nothing_and_costs_no_more() {
        let nested = format!("/a%25{}2e", "25".repeat(5000));
        assert_eq!(RequestPath::parse(&nested), RequestPath::Unreadable);
        let wide = format!("/{}", "a;b%2f..\\//./#".repeat(4000));
        assert!(!matches!(RequestPath::parse(&wide), RequestPath::Plain(_)));
    }

    #[test]
    fn octets_that_nobody_can_read_match_nothing() {
        for target in
            ["/a%00b", "/a%0ab", "/a%zz", "/a%", "/%c0%ae%c0%ae/admin", "/a\u{0}", "/%250a"]
        {
            assert_eq!(RequestPath::parse(target), RequestPath::Unreadable, "{target:?}");
        }
        for end in ["", "%20b"] {
            let long = format!("/{}{end}", "a".repeat(MAX_BYTES));
            assert!(RequestPath::parse(&long) == RequestPath::Unreadable, "{end:?}");
        }
    }

    #[test]
    fn escapes_of_ordinary_characters_leave_two_readings() {
        for (target, decoded) in
            [("/a%20b?x", "/a b"), ("/%61dmin", "/admin"), ("/caf%C3%A9", "/café"), ("/%2a", "/*")]
        {
            let raw = target.split('?').next().unwrap();
            let expected = RequestPath::Escaped { raw, decoded: decoded.to_owned() };
            assert_eq!(RequestPath::parse(target), expected);
        }
        for target in [
            "/a%2fb",
            "/a%2Fb",
            "/a%5c",
            "/%2e%2e/a",
            "/a%3bb",
            "/a%3f",
            "/a%23",
            "/a%25",
            "/a%20//b",
            "/a%20/../b",
            "/a%20;b",
            "/a%00",
            "/a%c2%85",
            "/%ff",
            "a%20",
            "/a%20b\\",
        ] {
            let path = RequestPath::parse(target);
            assert!(!matches!(path, RequestPath::Escaped { .. }), "{target}: {path:?}");
        }
    }

    #[test]
    fn a_percent_sign_that_was_meant_stays_readable() {
        assert!(has_reading("/100%25", "/100%"));
    }
}
