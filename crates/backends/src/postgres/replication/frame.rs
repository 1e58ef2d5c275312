use bytes::{Buf, Bytes, BytesMut};

use super::Failure;

/// A message of the server: its kind and its body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) tag: u8,
    pub(super) body: Bytes,
}

/// The kind, and the length that counts itself.
const HEAD: usize = 5;

/// Takes the first message out of `buffer` if it is whole.
pub(super) fn take(buffer: &mut BytesMut, bytes_max: usize) -> Result<Option<Frame>, Failure> {
    let Some(head) = buffer.first_chunk::<HEAD>() else { return Ok(None) };
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if length < HEAD - 1 {
        return Err(Failure::Protocol("the length of a message is too small"));
    }
    if length > bytes_max {
        return Err(Failure::TooLarge { bytes: length, bytes_max });
    }
    if buffer.len() <= length {
        buffer.reserve(length + 1 - buffer.len());
        return Ok(None);
    }
    let mut message = buffer.split_to(length + 1).freeze();
    let tag = message.get_u8();
    message.advance(HEAD - 1);
    Ok(Some(Frame { tag, body: message }))
}

/// Reads the error of an `ErrorResponse`: fields, each a letter and a text that ends with zero.
pub(super) fn error(body: &[u8]) -> Failure {
    let (mut code, mut message) = (String::new(), String::new());
    for field in body.split(|byte| *byte == 0) {
        let text = || String::from_utf8_lossy(&field[1..]).into_owned();
        match field.first() {
            Some(b'C') => code = text(),
            Some(b'M') => message = text(),
            _ => {}
        }
    }
    Failure::Server { code, message }
}
