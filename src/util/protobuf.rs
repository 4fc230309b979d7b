//! Fields of protobuf messages that are written by hand, where a message is put together of parts that are encoded already:
//! `check::forward` and `server::ext_authz` do so. Whole messages are prost's.

use bytes::BufMut;

/// The wire type of texts, bytes and messages.
pub const LENGTH_DELIMITED: u8 = 2;

/// How long a text, bytes or a message of `content` bytes are as a field whose number is below 16: tag, length and content.
pub fn field_len(content: usize) -> usize {
    1 + prost::length_delimiter_len(content) + content
}

/// Writes the tag and the length of such a field; its content has to follow.
pub fn put_head(buffer: &mut impl BufMut, number: u8, content: usize) {
    buffer.put_u8(number << 3 | LENGTH_DELIMITED);
    // It grows as needed.
    let _never_full = prost::encode_length_delimiter(content, buffer);
}
