//! An archived segment: its bytes in blocks, each compressed by zstd (RFC 8878) for itself, so that reading a few events
//! takes apart a few blocks.
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | `STEADLOG` |
//! | 8 | version, 3 |
//! | 12..16 | number of the segment |
//! | 16..24 | length of the segment before it was archived |
//! | 24..32 | identity of the log |
//! | 32..36 | how many bytes of the segment a block holds, at most 1 MiB; the last one may hold fewer |
//! | 36..40 | count of blocks |
//! | 40..44 | CRC32C of the table |
//! | 44..48 | where the last frame ends, and with it the last block |
//! | 48..52 | CRC32C of bytes 0..48 |
//! | 52..64 | zero |
//! | 64.. | table: for each block its length here, and a CRC32C; 4 bytes each |
//! | then | the blocks, without gap |
//!
//! The checksum of a block runs over the log's identity, the segment's number, the block's, and its bytes.

use super::segment::MAGIC;

/// The length of the header in bytes.
pub(crate) const HEADER: usize = 64;
/// The version that tells an archived segment from others.
pub(crate) const VERSION: u8 = 3;
/// How long an entry of the table is.
pub(crate) const ENTRY: usize = 8;

const SUMMED: usize = 48;
/// No block holds more, so that none takes much memory.
const BLOCK_MAX: u32 = 1 << 20;

/// What the header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Archive {
    pub(crate) number: u32,
    /// The length of the segment before it was archived.
    pub(crate) size: u64,
    pub(crate) identity: u64,
    /// How many bytes of the segment a block holds.
    pub(crate) block: u32,
    pub(crate) blocks: u32,
    pub(crate) table_checksum: u32,
    /// Where the last frame ends.
    pub(crate) end: u32,
}

/// What the table says of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) length: u32,
    pub(crate) checksum: u32,
}

/// Says whether `bytes` begin like an archived segment.
pub(crate) fn is_archived(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC) && bytes.get(MAGIC.len()) == Some(&VERSION)
}

impl Archive {
    pub(crate) fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8] = VERSION;
        bytes[16..24].copy_from_slice(&self.size.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.identity.to_le_bytes());
        let fours = [
            (12, self.number),
            (32, self.block),
            (36, self.blocks),
            (40, self.table_checksum),
            (44, self.end),
        ];
        for (at, value) in fours {
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        let sum = crc32c::crc32c(&bytes[..SUMMED]);
        bytes[SUMMED..SUMMED + 4].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Returns what `bytes` say, none if they are not whole or make no sense.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER] = bytes.first_chunk()?;
        let four = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let eight = |at: usize| u64::from(four(at)) | u64::from(four(at + 4)) << 32;
        let found = Self {
            number: four(12),
            size: eight(16),
            identity: eight(24),
            block: four(32),
            blocks: four(36),
            table_checksum: four(40),
            end: four(44),
        };
        let makes_sense = (1..=BLOCK_MAX).contains(&found.block)
            && found.blocks == found.end.div_ceil(found.block)
            && u64::from(found.end) <= found.size;
        (found.encode() == *bytes && makes_sense).then_some(found)
    }

    /// Where the first block begins.
    pub(crate) fn blocks_at(&self) -> u64 {
        (HEADER + self.blocks as usize * ENTRY) as u64
    }

    /// How many bytes of the segment block `index` holds.
    pub(crate) fn length_of(&self, index: u32) -> usize {
        (self.end - index * self.block).min(self.block) as usize
    }

    /// The checksum of the `bytes` of block `index`.
    pub(crate) fn checksum(&self, index: u32, bytes: &[u8]) -> u32 {
        let mut salt = [0; 16];
        salt[..8].copy_from_slice(&self.identity.to_le_bytes());
        salt[8..12].copy_from_slice(&self.number.to_le_bytes());
        salt[12..].copy_from_slice(&index.to_le_bytes());
        crc32c::crc32c_append(crc32c::crc32c(&salt), bytes)
    }
}

impl Entry {
    pub(crate) fn encode(self) -> [u8; ENTRY] {
        let mut bytes = [0; ENTRY];
        bytes[..4].copy_from_slice(&self.length.to_le_bytes());
        bytes[4..].copy_from_slice(&self.checksum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: [u8; ENTRY]) -> Self {
        let [a, b, c, d, e, f, g, h] = bytes;
        Self { length: u32::from_le_bytes([a, b, c, d]), checksum: u32::from_le_bytes([e, f, g, h]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_round_trips_and_every_flipped_bit_is_caught() {
        let archive = Archive {
            number: 7,
            size: 65_536,
            identity: u64::MAX - 1,
            block: 1000,
            blocks: 5,
            table_checksum: 9,
            end: 4001,
        };
        let bytes = archive.encode();
        assert!(is_archived(&bytes));
        assert_eq!(Archive::decode(&bytes), Some(archive));
        assert_eq!((archive.length_of(3), archive.length_of(4)), (1000, 1));
        for bit in 0..HEADER * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Archive::decode(&damaged), None, "bit {bit}");
        }
        let entry = Entry { length: 1, checksum: u32::MAX };
        assert_eq!(Entry::decode(entry.encode()), entry);
    }
}
