//! Which trace a request belongs to, and whether that is sampled: what a proxy says in `traceparent` (W3C Trace Context) or
//! in B3's headers, read strictly. What is not written as it should be counts as not there; nothing is denied for it.
//!
//! Pure: the adapters hand in a way to look headers up.

use std::fmt;

/// The identity of a trace: 16 bytes that are not all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// The identity of a span within a trace: 8 bytes that are not all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpanId([u8; 8]);

/// What a request says of its trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceContext {
    /// The span that this request is a part of; `None` where there is none, or none that can be read.
    pub parent: Option<(TraceId, SpanId)>,
    /// Whether whoever began the trace wants it recorded.
    pub sampling: Sampling,
    /// `tracestate`, for the span that goes on with it.
    pub state: Option<Box<str>>,
}

/// Whether a trace is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sampling {
    /// Yes.
    Sampled,
    /// No.
    NotSampled,
    /// Nobody has said.
    #[default]
    Undecided,
}

/// Longer ones are left out; W3C Trace Context asks of everybody to keep 512 characters.
const MAX_STATE_BYTES: usize = 512;

impl TraceContext {
    /// Reads what `header` finds: the value of the one header of that lower-case name, `None` where there is none or more
    /// than one. `traceparent` comes before `b3`, and that before `x-b3-…`.
    pub fn read<'a>(header: impl Fn(&'static str) -> Option<&'a str>) -> Self {
        if let Some(found) = header("traceparent").and_then(w3c) {
            let state = header("tracestate").filter(|state| is_state(state)).map(Box::from);
            return Self { state, ..found };
        }
        if let Some(found) = header("b3").and_then(b3) {
            return found;
        }
        b3_in_parts(header)
    }

    /// Whether nothing was said at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The trace that the request belongs to.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.parent.map(|(trace_id, _)| trace_id)
    }
}

/// `00-TRACE-PARENT-FLAGS`. A later version may go on after that, behind another `-`.
fn w3c(text: &str) -> Option<TraceContext> {
    const LENGTH: usize = 55;
    let (known, rest) = text.split_at_checked(LENGTH)?;
    let mut fields = known.split('-');
    let [version] = hex(fields.next()?)?;
    let is_whole = rest.is_empty() || (version > 0 && rest.starts_with('-'));
    if version == 0xff || !is_whole {
        return None;
    }
    let parent = (TraceId::parse(fields.next()?)?, SpanId::parse(fields.next()?)?);
    let [flags] = hex(fields.next()?)?;
    let sampling = if flags & 1 == 1 { Sampling::Sampled } else { Sampling::NotSampled };
    let is_all = fields.next().is_none();
    is_all.then_some(TraceContext { parent: Some(parent), sampling, state: None })
}

fn is_state(text: &str) -> bool {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    !text.is_empty() && text.len() <= MAX_STATE_BYTES && is_plain
}

/// `TRACE-SPAN`, `TRACE-SPAN-SAMPLING`, `TRACE-SPAN-SAMPLING-PARENT`, or the sampling alone.
fn b3(text: &str) -> Option<TraceContext> {
    let mut fields = text.split('-');
    let first = fields.next()?;
    let Some(span) = fields.next() else {
        let sampling = b3_sampling(first)?;
        return Some(TraceContext { parent: None, sampling, state: None });
    };
    let parent = (TraceId::parse_b3(first)?, SpanId::parse(span)?);
    let sampling = fields.next().map_or(Some(Sampling::Undecided), b3_sampling)?;
    if let Some(grandparent) = fields.next() {
        SpanId::parse(grandparent)?;
    }
    let is_all = fields.next().is_none();
    is_all.then_some(TraceContext { parent: Some(parent), sampling, state: None })
}

fn b3_in_parts<'a>(header: impl Fn(&'static str) -> Option<&'a str>) -> TraceContext {
    let parent = header("x-b3-traceid").and_then(TraceId::parse_b3);
    let parent = parent.and_then(|trace_id| {
        let span_id = header("x-b3-spanid").and_then(SpanId::parse)?;
        Some((trace_id, span_id))
    });
    let sampling = match header("x-b3-flags") {
        Some("1") => Sampling::Sampled,
        Some(_) | None => match header("x-b3-sampled") {
            // The words are those of early tracers.
            Some("1" | "true") => Sampling::Sampled,
            Some("0" | "false") => Sampling::NotSampled,
            Some(_) | None => Sampling::Undecided,
        },
    };
    TraceContext { parent, sampling, state: None }
}

fn b3_sampling(text: &str) -> Option<Sampling> {
    match text {
        "1" | "d" => Some(Sampling::Sampled),
        "0" => Some(Sampling::NotSampled),
        _ => None,
    }
}

impl TraceId {
    /// One that is drawn: unique enough, and no secret.
    pub fn draw() -> Self {
        Self(fastrand::u128(1..).to_be_bytes())
    }

    /// 32 lower-case hexadecimal digits, not all 0.
    fn parse(text: &str) -> Option<Self> {
        hex(text).filter(|bytes| *bytes != [0; 16]).map(Self)
    }

    /// The same, or its last 16 digits alone.
    fn parse_b3(text: &str) -> Option<Self> {
        let Some(low) = hex::<8>(text) else { return Self::parse(text) };
        let id = u128::from(u64::from_be_bytes(low));
        (id != 0).then_some(Self(id.to_be_bytes()))
    }

    /// As it is exported.
    pub(super) fn to_vec(self) -> Vec<u8> {
        self.0.to_vec()
    }
}

impl SpanId {
    /// One that is drawn.
    pub fn draw() -> Self {
        Self(fastrand::u64(1..).to_be_bytes())
    }

    /// 16 lower-case hexadecimal digits, not all 0.
    fn parse(text: &str) -> Option<Self> {
        hex(text).filter(|bytes| *bytes != [0; 8]).map(Self)
    }

    /// As it is exported.
    pub(super) fn to_vec(self) -> Vec<u8> {
        self.0.to_vec()
    }
}

/// Lower-case hexadecimal digits, as proxies and collectors show it.
impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// `N` bytes in lower-case hexadecimal digits, all of them.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn read(headers: &[(&str, &str)]) -> TraceContext {
        TraceContext::read(|name| {
            let found = headers.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| *value)
        })
    }

    fn told(context: &TraceContext) -> Option<(String, String)> {
        context.parent.map(|(trace, span)| (trace.to_string(), span.to_string()))
    }

    fn ids() -> Option<(String, String)> {
        Some((TRACE.to_owned(), SPAN.to_owned()))
    }

    #[test]
    fn traceparent_names_the_trace_the_parent_and_the_decision() {
        for (flags, sampling) in [
            ("01", Sampling::Sampled),
            ("03", Sampling::Sampled),
            ("ff", Sampling::Sampled),
            ("00", Sampling::NotSampled),
            ("02", Sampling::NotSampled),
        ] {
            let text = format!("00-{TRACE}-{SPAN}-{flags}");
            let context = read(&[("traceparent", &text), ("tracestate", "a=b,c=d")]);
            assert_eq!(told(&context), ids(), "{flags}");
            assert_eq!(context.sampling, sampling, "{flags}");
            assert_eq!(context.state.as_deref(), Some("a=b,c=d"));
        }
        let later = format!("cc-{TRACE}-{SPAN}-01-what-the-future-brings");
        assert_eq!(told(&read(&[("traceparent", &later)])), ids());
    }

    #[test]
    fn a_traceparent_that_is_not_as_it_should_be_is_none() {
        let zeros = "0".repeat(32);
        for text in [
            String::new(),
            "00".to_owned(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}-01 "),
            format!(" 00-{TRACE}-{SPAN}-01"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("cc-{TRACE}-{SPAN}-01more"),
            format!("0-{TRACE}-{SPAN}-01a"),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{}-{SPAN}-01", TRACE.replace('a', "g")),
            format!("00-{SPAN}-{TRACE}-01"),
            format!("00_{TRACE}_{SPAN}_01"),
            format!("00-{TRACE}-{SPAN}-0\u{e9}"),
            "\u{e9}".repeat(60),
        ] {
            assert!(read(&[("traceparent", &text)]).is_empty(), "{text}");
        }
    }

    #[test]
    fn a_tracestate_that_cannot_be_handed_on_is_left_out() {
        let parent = format!("00-{TRACE}-{SPAN}-01");
        for state in ["", "a=\u{e9}", "a=\n", &"a".repeat(MAX_STATE_BYTES + 1)] {
            let context = read(&[("traceparent", &parent), ("tracestate", state)]);
            assert_eq!((told(&context), context.state), (ids(), None), "{state:?}");
        }
    }

    #[test]
    fn b3_in_one_header_says_the_same() {
        for (rest, sampling) in [
            ("", Sampling::Undecided),
            ("-1", Sampling::Sampled),
            ("-d", Sampling::Sampled),
            ("-0", Sampling::NotSampled),
            ("-1-05e3ac9a4f6e3b90", Sampling::Sampled),
        ] {
            let context = read(&[("b3", &format!("{TRACE}-{SPAN}{rest}"))]);
            assert_eq!((told(&context), context.sampling), (ids(), sampling), "{rest}");
        }
        let denied = read(&[("b3", "0")]);
        assert_eq!((denied.parent, denied.sampling), (None, Sampling::NotSampled));
        for text in ["", "2", "-", "true", &format!("{TRACE}-{SPAN}-2"), &format!("{TRACE}-")] {
            assert!(read(&[("b3", text)]).is_empty(), "{text}");
        }
        for rest in ["-1-", "-1-5", "-1-05e3ac9a4f6e3b90-"] {
            assert!(read(&[("b3", &format!("{TRACE}-{SPAN}{rest}"))]).is_empty(), "{rest}");
        }
    }

    #[test]
    fn b3_in_several_headers_says_the_same() {
        let ids_of = |more: &[(&str, &str)]| {
            let named = [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN)];
            read(&[&named, more].concat())
        };
        for (more, sampling) in [
            (&[][..], Sampling::Undecided),
            (&[("x-b3-sampled", "1")], Sampling::Sampled),
            (&[("x-b3-sampled", "true")], Sampling::Sampled),
            (&[("x-b3-sampled", "0")], Sampling::NotSampled),
            (&[("x-b3-sampled", "0"), ("x-b3-flags", "1")], Sampling::Sampled),
            (&[("x-b3-sampled", "yes")], Sampling::Undecided),
        ] {
            let context = ids_of(more);
            assert_eq!((told(&context), context.sampling), (ids(), sampling), "{more:?}");
        }
        let denied = read(&[("x-b3-sampled", "0")]);
        assert_eq!((denied.parent, denied.sampling), (None, Sampling::NotSampled));
        assert_eq!(read(&[("x-b3-traceid", TRACE)]).parent, None, "without a span");
    }

    #[test]
    fn a_short_b3_trace_is_the_end_of_a_long_one() {
        let context = read(&[("b3", &format!("{SPAN}-{SPAN}-1"))]);
        let trace = format!("{}{SPAN}", "0".repeat(16));
        assert_eq!(told(&context), Some((trace, SPAN.to_owned())));
        assert!(read(&[("b3", &format!("{}-{SPAN}-1", "0".repeat(16)))]).is_empty());
    }

    #[test]
    fn traceparent_comes_first_if_it_can_be_read() {
        let b3 = format!("{SPAN}-{SPAN}-0");
        let good = format!("00-{TRACE}-{SPAN}-01");
        assert_eq!(told(&read(&[("traceparent", &good), ("b3", &b3)])), ids());
        let context = read(&[("traceparent", "rubbish"), ("b3", &b3)]);
        assert_eq!(context.sampling, Sampling::NotSampled);
    }
}
