use std::collections::BTreeSet;

use super::Crash;
use crate::Rng;

/// The unit that is written whole or not at all when power is lost.
const SECTOR: usize = 512;

/// A file: what a reader sees, and what would be left without power.
#[derive(Debug, Clone, Default)]
pub(super) struct Inode {
    seen: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors of `seen` that are still to be copied to `durable`.
    dirty: BTreeSet<usize>,
    /// Sectors that a failed sync has left clean: they are seen, but no later sync copies them.
    lost: BTreeSet<usize>,
}

impl Inode {
    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }

    pub(super) fn read(&self, buffer: &mut [u8], start: usize) -> usize {
        let start = start.min(self.seen.len());
        let count = buffer.len().min(self.seen.len() - start);
        buffer[..count].copy_from_slice(&self.seen[start..start + count]);
        count
    }

    pub(super) fn write(&mut self, bytes: &[u8], start: usize) {
        let end = start + bytes.len();
        if bytes.is_empty() {
            return;
        }
        if self.seen.len() < end {
            self.seen.resize(end, 0);
        }
        self.seen[start..end].copy_from_slice(bytes);
        self.touch(start, end);
    }

    pub(super) fn resize(&mut self, length: usize) {
        let start = self.seen.len().min(length);
        self.seen.resize(length, 0);
        self.touch(start, length);
    }

    fn touch(&mut self, start: usize, end: usize) {
        for sector in start / SECTOR..end.div_ceil(SECTOR) {
            self.dirty.insert(sector);
            self.lost.remove(&sector);
        }
    }

    /// Makes all that is dirty durable, and the length.
    pub(super) fn sync(&mut self) {
        for sector in std::mem::take(&mut self.dirty) {
            self.settle(sector);
        }
        self.durable.resize(self.seen.len(), 0);
    }

    /// Does what the kernel does when writing back fails: the pages count as clean from now on.
    pub(super) fn fail_sync(&mut self) {
        self.lost.append(&mut self.dirty);
    }

    /// Makes some of what is dirty durable, as the kernel does whenever it likes.
    pub(super) fn write_back(&mut self, rng: &mut Rng) {
        for sector in self.dirty.clone() {
            if rng.chance(0.5) {
                self.dirty.remove(&sector);
                self.settle(sector);
            }
        }
    }

    /// Drops some pages that count as clean and are not durable from the cache, so that the old content is back.
    pub(super) fn evict(&mut self, rng: &mut Rng, chance: f64) {
        if chance == 0.0 || self.lost.is_empty() {
            return;
        }
        for sector in self.lost.clone() {
            if !rng.chance(chance) {
                continue;
            }
            self.lost.remove(&sector);
            let start = sector * SECTOR;
            for at in start..(start + SECTOR).min(self.seen.len()) {
                self.seen[at] = self.durable.get(at).copied().unwrap_or(0);
            }
        }
    }

    pub(super) fn crash(&mut self, crash: Crash, rng: &mut Rng) {
        for sector in std::mem::take(&mut self.dirty) {
            if crash == Crash::Torn && rng.chance(0.5) {
                self.settle(sector);
            }
        }
        self.lost.clear();
        self.seen.clone_from(&self.durable);
    }

    pub(super) fn flip_bit(&mut self, offset: u64, bit: u8) {
        for bytes in [&mut self.seen, &mut self.durable] {
            if let Some(byte) = bytes.get_mut(usize::try_from(offset).unwrap_or(usize::MAX)) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    /// Makes one sector durable as it is seen now.
    fn settle(&mut self, sector: usize) {
        let start = sector * SECTOR;
        let end = (start + SECTOR).min(self.seen.len());
        if start < end {
            if self.durable.len() < end {
                self.durable.resize(end, 0);
            }
            self.durable[start..end].copy_from_slice(&self.seen[start..end]);
        }
    }
}
