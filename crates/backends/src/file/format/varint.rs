//! Numbers in seven bits a byte, lowest first (LEB128).

use super::record::Malformed;

/// The most bytes that a number takes.
pub(crate) const BYTES_MAX: usize = 10;

pub(crate) fn put(buffer: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        buffer.push(value as u8 | 0x80);
        value >>= 7;
    }
    buffer.push(value as u8);
}

/// Takes a number off the front of `bytes`.
#[inline]
pub(crate) fn take(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    match bytes.split_first() {
        Some((&byte, rest)) if byte < 0x80 => {
            *bytes = rest;
            Ok(byte.into())
        }
        _ => take_long(bytes),
    }
}

fn take_long(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0_u64;
    for index in 0..BYTES_MAX {
        let (&byte, rest) = bytes.split_first().ok_or(Malformed)?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit alone.
        if index == BYTES_MAX - 1 && part > 1 {
            return Err(Malformed);
        }
        value |= part << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

/// Folds the sign into the lowest bit, so that small numbers of either sign stay short.
pub(super) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub(super) const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_round_trip(value: u64, signed: i64) {
            let mut buffer = Vec::new();
            put(&mut buffer, value);
            let mut rest = buffer.as_slice();
            prop_assert_eq!(take(&mut rest), Ok(value));
            prop_assert!(rest.is_empty());
            prop_assert_eq!(unzigzag(zigzag(signed)), signed);
        }
    }

    #[test]
    fn a_number_too_long_is_refused() {
        assert_eq!(take(&mut [0xff; 11].as_slice()), Err(Malformed));
        assert_eq!(take(&mut [0x80].as_slice()), Err(Malformed));
    }
}
