//! A commit frame: the events of one batch, whole or not there.
//!
//! | bytes | what |
//! |---|---|
//! | 0..2 | `SF` |
//! | 2 | version, 1 |
//! | 3 | kind: 0 events, 1 deletions |
//! | 4..8 | CRC32C |
//! | 8..12 | length of the payload |
//! | 12..16 | count of events; 0 for deletions, and for a mark, which is there for its durable offset alone |
//! | 16..24 | position of the first event, or of the next one for a mark |
//! | 24..32 | offset up to which the log was known to be durable when the frame was written |
//! | 32.. | payload, then zeros up to a multiple of 8 |
//!
//! All numbers are little-endian. The checksum runs over the log's identity, the frame's own offset, and all of
//! the frame but the checksum: a frame copied elsewhere, by a stray write or as a payload, is not a frame.

use super::Offset;

/// The length of the header in bytes.
pub(crate) const HEADER: usize = 32;
/// Frames start at multiples of this.
pub(crate) const ALIGNMENT: usize = 8;

/// What every frame starts with, but for its kind.
const START: [u8; 3] = [b'S', b'F', 1];

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Events, or nothing.
    Events = 0,
    /// Which streams are deleted.
    Deletions = 1,
}

/// A frame that was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: Kind,
    /// Position of the first event.
    pub(crate) first: u64,
    /// How many events it holds.
    pub(crate) count: u32,
    /// Up to where the log was known to be durable.
    pub(crate) durable: Offset,
    /// The encoded events.
    pub(crate) payload: &'a [u8],
    /// The length of all of it, padding included.
    pub(crate) length: usize,
}

impl Frame<'_> {
    /// Says whether the frame, which stands at `at`, is there to tell that all before it is durable. One that begins a
    /// segment tells so of the segment before.
    pub(crate) fn is_mark(&self, at: Offset) -> bool {
        let tells = self.durable == at || at == Offset::start_of(at.segment());
        self.kind == Kind::Events && self.count == 0 && tells
    }
}

/// Why there is no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invalid {
    /// Nothing was ever written here.
    Empty,
    /// Something was.
    Broken(&'static str),
}

/// Says how long a frame with a payload of `length` bytes is.
pub(crate) const fn length_with(payload: usize) -> usize {
    (HEADER + payload).next_multiple_of(ALIGNMENT)
}

/// Begins a frame at the end of `buffer`; the payload is to be appended next.
pub(crate) fn begin(buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(&[0; HEADER]);
}

/// Ends the frame that begins at `start` of `buffer`; it has yet to be sealed.
///
/// # Panics
/// The payload is longer than 4 GiB, which the limit on batches rules out.
pub(crate) fn end(buffer: &mut Vec<u8>, start: usize, first: u64, count: u32) {
    end_as(Kind::Events, buffer, start, first, count);
}

/// Ends a frame like [`end`], of any kind.
///
/// # Panics
/// As [`end`].
pub(crate) fn end_as(kind: Kind, buffer: &mut Vec<u8>, start: usize, first: u64, count: u32) {
    let payload = buffer.len() - start - HEADER;
    buffer.resize(start + length_with(payload), 0);
    let payload = u32::try_from(payload).expect("a batch is smaller than a segment");
    let frame = &mut buffer[start..];
    frame[0..3].copy_from_slice(&START);
    frame[3] = kind as u8;
    frame[8..12].copy_from_slice(&payload.to_le_bytes());
    frame[12..16].copy_from_slice(&count.to_le_bytes());
    frame[16..24].copy_from_slice(&first.to_le_bytes());
}

/// Writes the durable offset and the checksum; may be done again.
pub(crate) fn seal(frame: &mut [u8], identity: u64, at: Offset, durable: Offset) {
    frame[24..32].copy_from_slice(&durable.bits().to_le_bytes());
    let sum = checksum(frame, identity, at);
    frame[4..8].copy_from_slice(&sum.to_le_bytes());
}

/// Returns the length of the frame whose header `bytes` starts with. It is not checked and may be nonsense.
pub(crate) fn claimed_length(bytes: &[u8]) -> Result<usize, Invalid> {
    let header: &[u8; HEADER] = bytes.first_chunk().ok_or(Invalid::Empty)?;
    if *header == [0; HEADER] {
        return Err(Invalid::Empty);
    }
    if header[..3] != START || header[3] > Kind::Deletions as u8 {
        return Err(Invalid::Broken("no frame starts here"));
    }
    Ok(length_with(four(header, 8) as usize))
}

/// Returns the checksum that the frame whose header `bytes` starts with carries.
pub(crate) fn checksum_of(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk::<HEADER>().map(|header| four(header, 4))
}

/// Checks the frame that `bytes` starts with.
pub(crate) fn parse(bytes: &[u8], identity: u64, at: Offset) -> Result<Frame<'_>, Invalid> {
    let length = claimed_length(bytes)?;
    let frame = bytes.get(..length).ok_or(Invalid::Broken("the frame is cut off"))?;
    if four(frame, 4) != checksum(frame, identity, at) {
        return Err(Invalid::Broken("the checksum does not match"));
    }
    Ok(Frame {
        kind: if frame[3] == Kind::Deletions as u8 { Kind::Deletions } else { Kind::Events },
        first: eight(frame, 16),
        count: four(frame, 12),
        durable: Offset::from_bits(eight(frame, 24)),
        payload: &frame[HEADER..HEADER + four(frame, 8) as usize],
        length,
    })
}

fn checksum(frame: &[u8], identity: u64, at: Offset) -> u32 {
    let mut salt = [0; 20];
    salt[..8].copy_from_slice(&identity.to_le_bytes());
    salt[8..16].copy_from_slice(&at.bits().to_le_bytes());
    salt[16..].copy_from_slice(&frame[..4]);
    crc32c::crc32c_append(crc32c::crc32c(&salt), &frame[8..])
}

fn four(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn eight(bytes: &[u8], at: usize) -> u64 {
    u64::from(four(bytes, at)) | u64::from(four(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AT: Offset = Offset::new(3, 64);

    fn framed(payload: &[u8], first: u64, count: u32) -> Vec<u8> {
        let mut buffer = Vec::new();
        begin(&mut buffer);
        buffer.extend_from_slice(payload);
        end(&mut buffer, 0, first, count);
        seal(&mut buffer, 9, AT, Offset::new(2, 40));
        buffer
    }

    proptest! {
        #[test]
        fn a_frame_round_trips(payload: Vec<u8>, first: u64, count: u32, behind: Vec<u8>) {
            let mut buffer = framed(&payload, first, count);
            let length = buffer.len();
            buffer.extend_from_slice(&behind);
            let frame = parse(&buffer, 9, AT).expect("valid");
            let durable = Offset::new(2, 40);
            let kind = Kind::Events;
            prop_assert_eq!(frame, Frame { kind, first, count, durable, payload: &payload, length });
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes, 0, AT);
            let mut started = START.to_vec();
            started.extend_from_slice(&bytes);
            prop_assert!(parse(&started, 0, AT).is_err());
        }

        #[test]
        fn a_frame_of_another_log_or_another_place_is_none(payload: Vec<u8>) {
            let buffer = framed(&payload, 1, 1);
            prop_assert!(parse(&buffer, 8, AT).is_err());
            prop_assert!(parse(&buffer, 9, AT.plus(8)).is_err());
        }
    }

    #[test]
    fn every_flipped_bit_is_caught() {
        let frame = framed(b"thirteen byte", 1, 1);
        for bit in 0..frame.len() * 8 {
            let mut damaged = frame.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(parse(&damaged, 9, AT), Err(Invalid::Broken(_))), "bit {bit}");
        }
        assert!((0..frame.len()).all(|length| parse(&frame[..length], 9, AT).is_err()));
        assert_eq!(parse(&[0; 100], 9, AT), Err(Invalid::Empty));
    }
}
