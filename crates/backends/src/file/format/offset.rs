use std::fmt;

use super::segment;

/// A byte of the log: the segment's number and the byte in it, packed so that their order is that of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Offset(u64);

impl Offset {
    pub(crate) const fn new(segment: u32, byte: u32) -> Self {
        Self((segment as u64) << 32 | byte as u64)
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    pub(crate) const fn segment(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(crate) const fn byte(self) -> u32 {
        self.0 as u32
    }

    /// The byte `count` further on in the same segment.
    pub(crate) const fn plus(self, count: usize) -> Self {
        Self(self.0 + count as u64)
    }

    /// Where the first frame of segment `number` stands.
    pub(crate) const fn start_of(number: u32) -> Self {
        Self::new(number, segment::HEADER as u32)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {} at byte {}", segment::name(self.segment()), self.byte())
    }
}
