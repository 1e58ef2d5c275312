//! A segment: a file of fixed size, a header and then frames, the rest zero.

use super::{VERSION, VERSION_MIN};

/// The length of the header in bytes.
pub(crate) const HEADER: usize = 64;

pub(super) const MAGIC: &[u8; 8] = b"STEADLOG";
/// The checksum covers what stands before it.
const SUMMED: usize = 32;

/// What the header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// The version of the format; deletions stand in segments of version 2 only.
    pub(crate) version: u8,
    /// Counted from 1.
    pub(crate) number: u32,
    /// The length of the file in bytes.
    pub(crate) size: u64,
    /// A number drawn when the log was made, the same in all its segments.
    pub(crate) identity: u64,
}

/// Why a header was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// It is that of a later version.
    Version(u8),
    /// It is none at all.
    Invalid,
}

/// The name of segment `number`.
pub(crate) fn name(number: u32) -> String {
    format!("{number:010}.log")
}

/// The number of the segment called `name`, if one is.
pub(crate) fn number(file: &str) -> Option<u32> {
    let number = file.strip_suffix(".log")?.parse().ok()?;
    (number > 0 && name(number) == file).then_some(number)
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8] = self.version;
        bytes[12..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.size.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.identity.to_le_bytes());
        let sum = crc32c::crc32c(&bytes[..SUMMED]);
        bytes[SUMMED..SUMMED + 4].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let bytes: &[u8; HEADER] = bytes.first_chunk().ok_or(HeaderError::Invalid)?;
        if !bytes.starts_with(MAGIC) {
            return Err(HeaderError::Invalid);
        }
        // The version comes before the checksum, for a later version may put that elsewhere.
        let version = bytes[8];
        if !(VERSION_MIN..=VERSION).contains(&version) {
            return Err(HeaderError::Version(version));
        }
        let four = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let eight = |at: usize| u64::from(four(at)) | u64::from(four(at + 4)) << 32;
        let rest_is_zero = bytes[SUMMED + 4..].iter().all(|byte| *byte == 0);
        if crc32c::crc32c(&bytes[..SUMMED]) != four(SUMMED) || !rest_is_zero {
            return Err(HeaderError::Invalid);
        }
        Ok(Self { version, number: four(12), size: eight(16), identity: eight(24) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_round_trips_and_every_flipped_bit_is_caught() {
        let header = Header { version: VERSION, number: 7, size: 65536, identity: 0x1234_5678_9abc_def0 };
        let bytes = header.encode();
        assert_eq!(Header::decode(&bytes), Ok(header));
        for bit in 0..HEADER * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&damaged).is_err(), "bit {bit}");
        }
        assert_eq!(Header::decode(&bytes[..63]), Err(HeaderError::Invalid));
    }

    #[test]
    fn names_are_read_back_and_nothing_else_is() {
        assert_eq!(number(&name(12)), Some(12));
        for other in ["lock", "1.log", "0000000000.log", "0000000001.log.new", "x000000001.log"] {
            assert_eq!(number(other), None, "{other}");
        }
    }
}
