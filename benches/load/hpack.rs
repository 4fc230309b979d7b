//! The header blocks of a request that is sent again and again (RFC 7541): written out and entered into the table of the
//! connection the first time, one byte a header from then on, as Envoy's own encoder does.

/// What the first request of a connection says, and each later one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blocks {
    pub(crate) first: Vec<u8>,
    pub(crate) later: Vec<u8>,
}

/// Where the dynamic table begins.
const FIRST_DYNAMIC: usize = 62;
/// The table's size before anybody says otherwise, and what an entry takes beside its text.
const TABLE: usize = 4096;
const ENTRY: usize = 32;

impl Blocks {
    /// Pseudo headers come first; all of `headers` together must fit the table, so one that does not is written out each
    /// time.
    pub(crate) fn new(headers: &[(&str, &str)]) -> Self {
        let mut blocks = Self::default();
        let (mut indexed, mut left) = (Vec::new(), TABLE);
        for (name, value) in headers {
            let bytes = name.len() + value.len() + ENTRY;
            let is_indexed = bytes <= left;
            literal(&mut blocks.first, if is_indexed { 0x40 } else { 0 }, name, value);
            if is_indexed {
                left -= bytes;
            }
            indexed.push(is_indexed);
        }
        // The newest entry has the lowest index.
        let mut index = FIRST_DYNAMIC + indexed.iter().filter(|is_indexed| **is_indexed).count();
        for ((name, value), is_indexed) in headers.iter().zip(indexed) {
            if is_indexed {
                index -= 1;
                integer(&mut blocks.later, 0x80, 7, index);
            } else {
                literal(&mut blocks.later, 0, name, value);
            }
        }
        blocks
    }
}

/// §6.2: `kind` says whether it is entered into the table.
fn literal(block: &mut Vec<u8>, kind: u8, name: &str, value: &str) {
    block.push(kind);
    for text in [name, value] {
        integer(block, 0, 7, text.len());
        block.extend(text.as_bytes());
    }
}

/// §5.1: in the low `bits` of a byte that begins with `high`, and more bytes if it does not fit.
fn integer(block: &mut Vec<u8>, high: u8, bits: u32, value: usize) {
    let most = (1_usize << bits) - 1;
    if value < most {
        block.push(high | low_byte(value));
        return;
    }
    block.push(high | low_byte(most));
    let mut rest = value - most;
    while rest >= 128 {
        block.push(low_byte(rest % 128) | 0x80);
        rest /= 128;
    }
    block.push(low_byte(rest));
}

fn low_byte(value: usize) -> u8 {
    u8::try_from(value & 0xff).unwrap_or_default()
}
