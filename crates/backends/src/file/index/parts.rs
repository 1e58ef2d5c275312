use std::collections::HashMap;
use std::sync::Arc;

use super::Checkpoint;
use super::deletions::Deleted;
use super::part::{Mark, Part, checkpoint};
use crate::file::sealed::PartFile;

/// The parts of the index, one for each segment, oldest first; all but the last are finished.
#[derive(Debug)]
pub(in crate::file) struct Parts {
    done: Vec<Done>,
    pub(super) active: Part,
}

/// A part that nothing is added to any more.
#[derive(Debug)]
struct Done {
    number: u32,
    first: u64,
    checkpoints: Arc<[Mark]>,
    held: Held,
}

/// Where a finished part is.
#[derive(Debug, Clone)]
pub(in crate::file) enum Held {
    Memory(Arc<Part>),
    File(Arc<PartFile>),
}

impl Parts {
    pub(super) fn new(number: u32, first: u64) -> Self {
        Self { done: Vec::new(), active: Part::new(number, first) }
    }

    /// Finishes the part that is written to and goes on with that of segment `number`.
    pub(super) fn go_on(&mut self, number: u32) {
        let next = Part::new(number, self.active.next());
        let part = std::mem::replace(&mut self.active, next);
        let checkpoints = part.checkpoints.as_slice().into();
        let (number, first) = (part.number, part.first);
        self.done.push(Done { number, first, checkpoints, held: Held::Memory(Arc::new(part)) });
    }

    /// Takes a part that is on the disk; the part that is written to, which is empty, comes after it.
    pub(in crate::file) fn adopt(&mut self, file: Arc<PartFile>) {
        let (number, first, next) = (file.number(), file.first(), file.next());
        let checkpoints = file.checkpoints();
        self.done.push(Done { number, first, checkpoints, held: Held::File(file) });
        self.active = Part::new(number + 1, next);
    }

    /// Puts a part that is on the disk by now in the place of the one in memory.
    pub(in crate::file) fn replace(&mut self, file: Arc<PartFile>) {
        if let Ok(at) = self.done.binary_search_by_key(&file.number(), |done| done.number) {
            self.done[at].held = Held::File(file);
        }
    }

    /// Returns the finished part of segment `number` if it is in memory.
    pub(in crate::file) fn in_memory(&self, number: u32) -> Option<Arc<Part>> {
        let at = self.done.binary_search_by_key(&number, |done| done.number).ok()?;
        match &self.done[at].held {
            Held::Memory(part) => Some(Arc::clone(part)),
            Held::File(_) => None,
        }
    }

    /// Returns the numbers of the finished parts that are in memory.
    pub(in crate::file) fn unsealed(&self) -> Vec<u32> {
        let in_memory = self.done.iter().filter(|done| matches!(done.held, Held::Memory(_)));
        in_memory.map(|done| done.number).collect()
    }

    /// Returns the numbers of all finished parts, oldest first.
    pub(in crate::file) fn finished(&self) -> Vec<u32> {
        self.done.iter().map(|done| done.number).collect()
    }

    /// Returns the finished part of segment `number`.
    pub(in crate::file) fn held(&self, number: u32) -> Option<Held> {
        let at = self.done.binary_search_by_key(&number, |done| done.number).ok()?;
        Some(self.done[at].held.clone())
    }

    /// Says whether the part that is written to holds events that are `deleted`.
    pub(in crate::file) fn active_holds(&self, deleted: &HashMap<Arc<str>, Deleted>) -> bool {
        self.active.holds(deleted)
    }

    /// Returns the part that is written to if the event at `position` is in it.
    pub(in crate::file) fn active_with(&self, position: u64) -> Option<&Part> {
        (position >= self.active.first).then_some(&self.active)
    }

    /// Returns the finished part that holds the event at `position`.
    pub(in crate::file) fn done_with(&self, position: u64) -> Option<&Held> {
        self.done_at(position).map(|done| &done.held)
    }

    fn done_at(&self, position: u64) -> Option<&Done> {
        let behind = self.done.partition_point(|done| done.first <= position);
        self.done[..behind].last()
    }

    /// Returns the last frame kept that starts at or before the event at `position`.
    pub(in crate::file) fn checkpoint(&self, position: u64) -> Option<Checkpoint> {
        if let Some(active) = self.active_with(position) {
            return checkpoint(active.number, active.first, &active.checkpoints, position);
        }
        let done = self.done_at(position)?;
        checkpoint(done.number, done.first, &done.checkpoints, position)
    }
}
