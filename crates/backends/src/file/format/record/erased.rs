//! What is left of an event that was deleted, once it is erased: its identity, its revision and the name of its stream,
//! in as many bytes as before, so that nothing else in the segment moves.
//!
//! Identity (16 bytes), flags (nothing but 32), revision, stream; then the count of the bytes that follow, in 4 bytes,
//! and as many zeros. The shortest event has 5 bytes beside these.

use super::{ERASED, Malformed, Record};
use crate::file::format::varint;

/// How many bytes the count of the zeros takes.
const COUNT: usize = 4;

/// Erases the event whose record `bytes` are. One that is erased stays as it is.
pub(crate) fn erase(bytes: &mut [u8]) -> Result<(), Malformed> {
    let mut rest = &*bytes;
    let record = Record::take(&mut rest)?;
    if record.erased || !rest.is_empty() {
        return if record.erased { Ok(()) } else { Err(Malformed) };
    }
    let mut kept = Vec::with_capacity(64 + record.stream.len());
    kept.extend_from_slice(&record.id.to_le_bytes());
    kept.push(ERASED);
    varint::put(&mut kept, record.revision);
    varint::put(&mut kept, record.stream.len() as u64);
    kept.extend_from_slice(record.stream.as_bytes());
    let zeros = bytes.len().checked_sub(kept.len() + COUNT).ok_or(Malformed)?;
    kept.extend_from_slice(&u32::try_from(zeros).map_err(|_| Malformed)?.to_le_bytes());
    bytes[..kept.len()].copy_from_slice(&kept);
    bytes[kept.len()..].fill(0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use steadfast_core::store::NewEvent;
    use steadfast_core::{Event, EventId};

    use super::super::encode;
    use super::*;

    #[test]
    fn the_shortest_event_and_longer_ones_have_room_to_be_erased() {
        for length in 0..300 {
            let id = 0x0102_0304;
            let event = Event::restore(EventId::from_u128(id), "", "", SystemTime::UNIX_EPOCH);
            let event = event.bytes(vec![b'x'; length]);
            let mut bytes = Vec::new();
            encode(&mut bytes, &NewEvent { stream: "s".into(), event }, 7);
            let before = bytes.len();
            erase(&mut bytes).expect("there is room");
            let mut rest = bytes.as_slice();
            let record = Record::take(&mut rest).expect("well-formed");
            assert!(record.erased && rest.is_empty() && bytes.len() == before);
            assert_eq!((record.id, record.revision, record.stream), (id, 7, "s"));
            assert!(!bytes.windows(3).any(|part| part == b"xxx"));
            let once = bytes.clone();
            erase(&mut bytes).expect("again");
            assert_eq!(bytes, once);
        }
    }
}
