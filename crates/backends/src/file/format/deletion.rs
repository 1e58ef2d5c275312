//! What a frame of deletions holds: for each stream its name as text, and the revision of its next event as number. All
//! events of the stream before the frame are deleted.

use super::record::Malformed;
use super::varint;

/// A stream whose events with a revision below `below` are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deletion<'a> {
    pub(crate) stream: &'a str,
    pub(crate) below: u64,
}

impl<'a> Deletion<'a> {
    /// Returns a length that it does not exceed.
    pub(crate) fn length_max(&self) -> usize {
        self.stream.len() + 2 * varint::BYTES_MAX
    }

    pub(crate) fn put(&self, buffer: &mut Vec<u8>) {
        varint::put(buffer, self.stream.len() as u64);
        buffer.extend_from_slice(self.stream.as_bytes());
        varint::put(buffer, self.below);
    }

    /// Takes one off the front of `bytes`.
    pub(crate) fn take(bytes: &mut &'a [u8]) -> Result<Self, Malformed> {
        let length = usize::try_from(varint::take(bytes)?).map_err(|_| Malformed)?;
        let (name, rest) = bytes.split_at_checked(length).ok_or(Malformed)?;
        *bytes = rest;
        let stream = std::str::from_utf8(name).map_err(|_| Malformed)?;
        Ok(Self { stream, below: varint::take(bytes)? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_deletion_round_trips_and_no_bytes_panic(stream in ".{0,40}", below: u64, bytes: Vec<u8>) {
            let deletion = Deletion { stream: &stream, below };
            let mut buffer = Vec::new();
            deletion.put(&mut buffer);
            prop_assert!(buffer.len() <= deletion.length_max());
            buffer.extend_from_slice(&bytes);
            let mut rest = buffer.as_slice();
            prop_assert_eq!(Deletion::take(&mut rest), Ok(deletion));
            prop_assert_eq!(rest, bytes.as_slice());
            let _ = Deletion::take(&mut bytes.as_slice());
        }
    }
}
