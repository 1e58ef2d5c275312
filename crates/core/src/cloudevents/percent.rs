//! Attribute values in headers that carry printable ASCII only: the percent-encoding of the HTTP and NATS bindings of
//! CloudEvents (section 3.1.3.2 of the HTTP one).

use std::borrow::Cow;
use std::fmt::Write as _;

/// Encodes what a header must not hold: anything beyond printable ASCII, and space, `"` and `%`.
///
/// # Examples
/// ```
/// use steadfast_core::cloudevents::percent;
///
/// assert_eq!(percent::encode("Euro € 😀"), "Euro%20%E2%82%AC%20%F0%9F%98%80");
/// ```
pub fn encode(value: &str) -> Cow<'_, str> {
    if value.bytes().all(is_plain) {
        return Cow::Borrowed(value);
    }
    let mut text = String::with_capacity(value.len() + 16);
    for byte in value.bytes() {
        if is_plain(byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    Cow::Owned(text)
}

/// Decodes the value of a header; none where it is not UTF-8 after that. A `%` without two hexadecimal digits stands
/// for itself, as receivers are to be lenient.
pub fn decode(value: &[u8]) -> Option<Cow<'_, str>> {
    if !value.contains(&b'%') {
        return std::str::from_utf8(value).ok().map(Cow::Borrowed);
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&byte, after)) = rest.split_first() {
        match (byte, after.first().and_then(|&b| digit(b)), after.get(1).and_then(|&b| digit(b))) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(high << 4 | low);
                rest = &after[2..];
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'"' && byte != b'%'
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(value: String) {
            let encoded = encode(&value);
            prop_assert!(encoded.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'"'));
            prop_assert_eq!(decode(encoded.as_bytes()), Some(Cow::Borrowed(value.as_str())));
        }
    }

    #[test]
    fn decoding_is_lenient_but_wants_utf_8() {
        assert_eq!(decode(b"100%").as_deref(), Some("100%"));
        assert_eq!(decode(b"%e2%82%ac %4").as_deref(), Some("€ %4"));
        assert_eq!(decode(b"%ff"), None);
        assert_eq!(decode(b"\xff"), None);
    }
}
