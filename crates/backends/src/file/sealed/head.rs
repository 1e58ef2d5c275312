use steadfast_core::store::Error;

use crate::file::format::{VERSION, VERSION_MIN};

/// The length of the header in bytes.
pub(super) const HEAD: usize = 96;
/// How long an entry of the table of streams is.
pub(super) const ENTRY: usize = 16;
/// How long a place to start reading at is.
pub(super) const MARK: usize = 8;

const MAGIC: &[u8; 8] = b"STEADIDX";
const SUMMED: usize = 88;

/// What the file of a part begins with. The sections follow in the order in which they stand here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) version: u8,
    pub(super) number: u32,
    pub(super) identity: u64,
    /// The position of the first event, and how many there are.
    pub(super) first: u64,
    pub(super) events: u64,
    /// Where the last frame of the segment begins, its checksum, and where it ends.
    pub(super) last_frame: u32,
    pub(super) last_checksum: u32,
    pub(super) end: u32,
    /// How many places to start reading at there are, and their checksum.
    pub(super) marks: u32,
    pub(super) marks_checksum: u32,
    /// How many streams there are, how long what is said of them is, and the checksum of that and of the table.
    pub(super) streams: u32,
    pub(super) streams_bytes: u32,
    pub(super) streams_checksum: u32,
    /// The checksum of the identities and of what says which begin and end a batch.
    pub(super) ids_checksum: u32,
    /// The checksum of the segment's table, if it is archived and that was noted.
    pub(super) archive: Option<u32>,
}

impl Head {
    pub(super) fn encode(&self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8] = self.version;
        let fours = [
            (12, self.number),
            (40, self.last_frame),
            (44, self.last_checksum),
            (48, self.end),
            (52, self.marks),
            (56, self.marks_checksum),
            (60, self.streams),
            (64, self.streams_bytes),
            (68, self.streams_checksum),
            (72, self.ids_checksum),
            (76, self.archive.unwrap_or_default()),
            (80, self.archive.is_some().into()),
        ];
        for (at, value) in fours {
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        for (at, value) in [(16, self.identity), (24, self.first), (32, self.events)] {
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        let sum = crc32c::crc32c(&bytes[..SUMMED]);
        bytes[SUMMED..SUMMED + 4].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Returns what `bytes` say, none if they are not whole or of another version.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEAD] = bytes.first_chunk()?;
        let known = bytes.starts_with(MAGIC) && (VERSION_MIN..=VERSION).contains(&bytes[8]);
        if !known || four(bytes, SUMMED) != crc32c::crc32c(&bytes[..SUMMED]) {
            return None;
        }
        Some(Self {
            version: bytes[8],
            number: four(bytes, 12),
            identity: eight(bytes, 16),
            first: eight(bytes, 24),
            events: eight(bytes, 32),
            last_frame: four(bytes, 40),
            last_checksum: four(bytes, 44),
            end: four(bytes, 48),
            marks: four(bytes, 52),
            marks_checksum: four(bytes, 56),
            streams: four(bytes, 60),
            streams_bytes: four(bytes, 64),
            streams_checksum: four(bytes, 68),
            ids_checksum: four(bytes, 72),
            archive: (four(bytes, 80) == 1).then(|| four(bytes, 76)),
        })
    }

    /// Where the table of streams begins, what is said of them, and the identities; and how long the file is.
    pub(super) fn table_at(&self) -> u64 {
        (HEAD + self.marks as usize * MARK) as u64
    }

    pub(super) fn streams_at(&self) -> u64 {
        self.table_at() + u64::from(self.streams) * ENTRY as u64
    }

    pub(super) fn ids_at(&self) -> u64 {
        self.streams_at() + u64::from(self.streams_bytes)
    }

    pub(super) fn length(&self) -> u64 {
        self.ids_at() + self.events * 17
    }
}

pub(super) fn four(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

pub(super) fn eight(bytes: &[u8], at: usize) -> u64 {
    u64::from(four(bytes, at)) | u64::from(four(bytes, at + 4)) << 32
}

/// The error for a file that is not what it was when the log was opened.
pub(super) fn broken(name: &str, problem: &str) -> Error {
    Error::Damaged {
        place: format!("index {name}"),
        problem: format!(
            "{problem}; the log itself is not concerned: delete this file and open the log again"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_round_trips_and_every_flipped_bit_is_caught() {
        let head = Head {
            version: VERSION,
            number: 7,
            identity: u64::MAX - 1,
            first: 1 << 40,
            events: 3,
            last_frame: 64,
            last_checksum: 1,
            end: 96,
            marks: 1,
            marks_checksum: 2,
            streams: 2,
            streams_bytes: 30,
            streams_checksum: 3,
            ids_checksum: 4,
            archive: Some(5),
        };
        let not_noted = Head { archive: None, ..head };
        assert_eq!(Head::decode(&not_noted.encode()), Some(not_noted));
        let bytes = head.encode();
        assert_eq!(Head::decode(&bytes), Some(head));
        assert_eq!(head.length(), 96 + 8 + 32 + 30 + 51);
        for bit in 0..SUMMED * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Head::decode(&damaged), None, "bit {bit}");
        }
        assert_eq!(Head::decode(&bytes[..HEAD - 1]), None);
    }
}
