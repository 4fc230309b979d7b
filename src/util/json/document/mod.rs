//! A JSON object as it is kept for long: all its texts one after the other, and six bytes for each value, or twelve in a
//! long one. A tree of values takes an allocation for each name and each text, and several times the memory.
//!
//! Numbers are text as well: the one that was signed.

use std::fmt;

use serde_json::value::RawValue;

use super::{
    MAX_DEPTH, Malformed, RawMembers, allocated, parse_string, raw_elements, write_string,
};

/// The members of one object, in the order they were written, looked into all the way down.
#[derive(Clone, PartialEq, Eq)]
pub struct Document {
    /// Of each node its name, if it is a member, and its text, if it has one; escapes resolved.
    text: Box<str>,
    nodes: Nodes,
}

/// Each before its parts, which come one after the other.
#[derive(Clone, PartialEq, Eq)]
enum Nodes {
    /// Of an object whose places and lengths fit in 16 bits, as those of nearly all tokens do.
    Short(Box<[Node<u16>]>),
    Long(Box<[Node<u32>]>),
}

/// A value, looked at.
#[derive(Clone, Copy)]
pub enum View<'a> {
    /// An array.
    Array(Parts<'a>),
    /// `true` or `false`
    Bool(bool),
    /// `null`
    Null,
    /// The number as written: `1`, `1.0` and `1e0` are three different texts.
    Number(&'a str),
    /// An object.
    Object(Parts<'a>),
    /// A string with its escapes resolved.
    String(&'a str),
}

/// The elements of an array, or the members of an object.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    document: &'a Document,
    from: usize,
    to: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node<N> {
    /// Where in the text its name begins, which its own text follows.
    at: N,
    /// The length of its own text; of a list or an object how many nodes are below it.
    length: N,
    /// The length of its name, and in the last three bits what it is.
    name_and_kind: N,
}

#[derive(Clone, Copy)]
enum Kind {
    Null,
    False,
    True,
    Number,
    String,
    Array,
    Object,
}

const KIND_BITS: u32 = 3;

impl Document {
    /// Looks into every member.
    ///
    /// # Errors
    /// A repeated member at any level, a lone surrogate, more than [`MAX_DEPTH`] levels, or half a gigabyte.
    pub fn parse(members: &RawMembers<'_>) -> Result<Self, Malformed> {
        let mut builder =
            Builder { text: String::new(), nodes: Vec::with_capacity(2 * members.0.len()) };
        // Resolved, no text is longer than it was.
        builder.text.reserve(members.iter().map(|(name, raw)| name.len() + raw.get().len()).sum());
        for (name, raw) in members.iter() {
            builder.add(name, raw, MAX_DEPTH)?;
        }
        Ok(Self { text: builder.text.into(), nodes: builder.nodes.into() })
    }

    /// All of it.
    pub fn members(&self) -> Parts<'_> {
        Parts { document: self, from: 0, to: self.nodes.len() }
    }

    /// The memory that it holds beyond its own size, in bytes, with what allocations take besides.
    pub fn bytes(&self) -> usize {
        let nodes = match &self.nodes {
            Nodes::Short(nodes) => size_of_val(&**nodes),
            Nodes::Long(nodes) => size_of_val(&**nodes),
        };
        allocated(self.text.len()) + allocated(nodes)
    }

    /// Name and value of a node, and where the next one beside it is.
    fn at(&self, place: usize) -> Option<(&str, View<'_>, usize)> {
        let node = self.nodes.get(place)?;
        let (at, length) = (usize::try_from(node.at).ok()?, usize::try_from(node.length).ok()?);
        let own = at + usize::try_from(node.name_and_kind >> KIND_BITS).ok()?;
        let name = self.text.get(at..own)?;
        let text = || self.text.get(own..own + length);
        let (from, mut next) = (place + 1, place + 1);
        let mut parts = || {
            next += length;
            Parts { document: self, from, to: next }
        };
        let view = match node.name_and_kind & ((1 << KIND_BITS) - 1) {
            ARRAY => View::Array(parts()),
            FALSE => View::Bool(false),
            NUMBER => View::Number(text()?),
            OBJECT => View::Object(parts()),
            STRING => View::String(text()?),
            TRUE => View::Bool(true),
            _null => View::Null,
        };
        Some((name, view, next))
    }
}

impl Nodes {
    fn len(&self) -> usize {
        match self {
            Self::Short(nodes) => nodes.len(),
            Self::Long(nodes) => nodes.len(),
        }
    }

    fn get(&self, place: usize) -> Option<Node<u32>> {
        match self {
            Self::Short(nodes) => nodes.get(place).map(|node| node.map(u32::from)),
            Self::Long(nodes) => nodes.get(place).copied(),
        }
    }
}

impl From<Vec<Node<u32>>> for Nodes {
    fn from(nodes: Vec<Node<u32>>) -> Self {
        let short = |node: &Node<u32>| {
            let [at, length, name_and_kind] =
                [node.at, node.length, node.name_and_kind].map(|number| u16::try_from(number).ok());
            Some(Node { at: at?, length: length?, name_and_kind: name_and_kind? })
        };
        let mut shorter = Vec::with_capacity(nodes.len());
        for node in &nodes {
            match short(node) {
                Some(node) => shorter.push(node),
                None => return Self::Long(nodes.into()),
            }
        }
        Self::Short(shorter.into())
    }
}

impl<N> Node<N> {
    fn map<M>(self, to: impl Fn(N) -> M) -> Node<M> {
        let Self { at, length, name_and_kind } = self;
        Node { at: to(at), length: to(length), name_and_kind: to(name_and_kind) }
    }
}

const ARRAY: u32 = Kind::Array as u32;
const FALSE: u32 = Kind::False as u32;
const NUMBER: u32 = Kind::Number as u32;
const OBJECT: u32 = Kind::Object as u32;
const STRING: u32 = Kind::String as u32;
const TRUE: u32 = Kind::True as u32;

/// Looks into a value that is not kept, all the way down.
///
/// # Errors
/// As [`Document::parse`], for a member of this value.
pub fn check(raw: &RawValue) -> Result<(), Malformed> {
    Builder { text: String::new(), nodes: Vec::new() }.add("", raw, MAX_DEPTH)
}

/// Claims are personal data: `Debug` says how many nodes there are and keeps the content.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("nodes", &self.nodes.len()).finish_non_exhaustive()
    }
}

/// And of a value what type it has.
impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Array(_) => "array",
            Self::Bool(_) => "boolean",
            Self::Null => "null",
            Self::Number(_) => "number",
            Self::Object(_) => "object",
            Self::String(_) => "string",
        })
    }
}

impl fmt::Debug for Parts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

impl<'a> View<'a> {
    /// The string, when it is one.
    pub fn as_str(self) -> Option<&'a str> {
        match self {
            Self::String(text) => Some(text),
            Self::Array(_) | Self::Bool(_) | Self::Null | Self::Number(_) | Self::Object(_) => None,
        }
    }

    /// The member called `name`, when this is an object that has it.
    pub fn member(self, name: &str) -> Option<Self> {
        match self {
            Self::Object(members) => members.get(name),
            Self::Array(_) | Self::Bool(_) | Self::Null | Self::Number(_) | Self::String(_) => None,
        }
    }

    /// Appends the value as JSON in ASCII: everything beyond is written as `\u` escapes, so that
    /// the text can stand in a header field.
    pub fn write_json(self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(text) => out.push_str(text),
            Self::String(text) => write_string(text, out),
            Self::Array(elements) => {
                out.push('[');
                for (place, element) in elements.elements().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    element.write_json(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (place, (name, value)) in members.members().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    write_string(name, out);
                    out.push(':');
                    value.write_json(out);
                }
                out.push('}');
            }
        }
    }
}

impl<'a> Parts<'a> {
    /// The member called `name`.
    pub fn get(self, name: &str) -> Option<View<'a>> {
        self.members().find(|(member, _)| *member == name).map(|(_, value)| value)
    }

    /// Names, empty ones of elements, and values.
    pub fn members(self) -> impl Iterator<Item = (&'a str, View<'a>)> + use<'a> {
        let Self { document, mut from, to } = self;
        std::iter::from_fn(move || {
            let (name, view, next) = if from < to { document.at(from)? } else { return None };
            from = next;
            Some((name, view))
        })
    }

    /// Values alone.
    pub fn elements(self) -> impl Iterator<Item = View<'a>> + use<'a> {
        self.members().map(|(_, value)| value)
    }

    /// How many there are. Takes a look at each.
    pub fn count(self) -> usize {
        self.members().count()
    }
}

struct Builder {
    text: String,
    nodes: Vec<Node<u32>>,
}

impl Builder {
    fn add(&mut self, name: &str, raw: &RawValue, depth: usize) -> Result<(), Malformed> {
        let (place, at) = (self.nodes.len(), short(self.text.len())?);
        self.text.push_str(name);
        let own = self.text.len();
        // What it is follows when its parts are there.
        self.nodes.push(Node { at, length: 0, name_and_kind: 0 });
        let text = raw.get();
        let inner = || depth.checked_sub(1).ok_or(Malformed::TooDeep);
        let kind = match text.as_bytes().first() {
            Some(b'{') => {
                let depth = inner()?;
                for (name, value) in RawMembers::parse(text.as_bytes())?.iter() {
                    self.add(name, value, depth)?;
                }
                Kind::Object
            }
            Some(b'[') => {
                let depth = inner()?;
                for element in raw_elements(text)? {
                    self.add("", element, depth)?;
                }
                Kind::Array
            }
            Some(b'"') => {
                self.text.push_str(&parse_string(text)?);
                Kind::String
            }
            Some(b't') => Kind::True,
            Some(b'f') => Kind::False,
            Some(b'n') => Kind::Null,
            // The only thing left that the parser lets through is a number.
            Some(_) | None => {
                self.text.push_str(text);
                Kind::Number
            }
        };
        let length = match kind {
            Kind::Array | Kind::Object => self.nodes.len() - place - 1,
            Kind::False | Kind::Null | Kind::Number | Kind::String | Kind::True => {
                self.text.len() - own
            }
        };
        if let Some(node) = self.nodes.get_mut(place) {
            node.length = short(length)?;
            node.name_and_kind = short(name.len())? << KIND_BITS | kind as u32;
        }
        Ok(())
    }
}

/// With room for the kind.
fn short(length: usize) -> Result<u32, Malformed> {
    let short = u32::try_from(length).ok().filter(|length| length >> (u32::BITS - KIND_BITS) == 0);
    short.ok_or(Malformed::TooLong)
}

#[cfg(test)]
mod tests;
