//! Which events of some streams come next, found part by part.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use steadfast_core::store::{Direction, Error};

use super::index::Held;
use super::reader::lost;
use super::shared::Shared;

/// The way along the events of some streams, either way.
#[derive(Debug, Default)]
pub(super) struct Trail {
    /// The positions that come next.
    next: VecDeque<u64>,
    /// Forward: the parts that are still to be looked at, the next one last, by an event of each stream in it.
    parts: Vec<Vec<(usize, u64)>>,
    /// Up to where that has been planned, either way.
    planned: Option<u64>,
    /// Backward: the newest event of each stream that has not been looked at, 0 if there is none.
    newest: Vec<u64>,
}

impl Trail {
    /// Gives back the memory that finding events has taken.
    pub(super) fn rest(&mut self) {
        self.next.shrink_to_fit();
        self.parts.shrink_to_fit();
    }

    /// Returns the next position of `streams` within `from..=to`. None if there is none, of those that were there when
    /// it was asked for; `to` may grow.
    pub(super) fn next(
        &mut self,
        shared: &Shared,
        streams: &[Arc<str>],
        direction: Direction,
        (from, to): (u64, u64),
    ) -> Result<Option<u64>, Error> {
        loop {
            if let Some(position) = self.next.pop_front() {
                return Ok(Some(position));
            }
            let more = match direction {
                Direction::Forward => self.fill_forward(shared, streams, from, to)?,
                Direction::Backward => self.fill_backward(shared, streams, from, to)?,
            };
            if !more {
                return Ok(None);
            }
        }
    }

    /// Takes the positions of the next part; says whether there was one.
    fn fill_forward(
        &mut self,
        shared: &Shared,
        streams: &[Arc<str>],
        from: u64,
        to: u64,
    ) -> Result<bool, Error> {
        if self.parts.is_empty() {
            let from = self.planned.map_or(from, |planned| from.max(planned + 1));
            if from > to {
                return Ok(false);
            }
            self.planned = Some(to);
            let mut parts: BTreeMap<u64, Vec<(usize, u64)>> = BTreeMap::new();
            for (stream, name) in streams.iter().enumerate() {
                let mut position = shared.state().index.streams.of(name).last;
                while position >= from {
                    let (part, before) = before(shared, name, position)?;
                    if part <= to {
                        parts.entry(part).or_default().push((stream, position));
                    }
                    position = before;
                }
            }
            self.parts = parts.into_values().rev().collect();
        }
        let Some(part) = self.parts.pop() else { return Ok(false) };
        let to = self.planned.unwrap_or(to);
        let mut found = Vec::new();
        for (stream, position) in part {
            found.extend(events(shared, &streams[stream], position, from, to)?.0);
        }
        found.sort_unstable();
        found.dedup();
        self.next = found.into();
        Ok(true)
    }

    fn fill_backward(
        &mut self,
        shared: &Shared,
        streams: &[Arc<str>],
        from: u64,
        to: u64,
    ) -> Result<bool, Error> {
        if self.planned.is_none() {
            self.planned = Some(to);
            let state = shared.state();
            self.newest = streams.iter().map(|name| state.index.streams.of(name).last).collect();
        }
        let newest = self.newest.iter().copied().max().unwrap_or_default();
        if newest < from || newest == 0 {
            return Ok(false);
        }
        let (part, _) = before(shared, &streams[self.of(newest)], newest)?;
        let mut found = Vec::new();
        for (stream, name) in streams.iter().enumerate() {
            if self.newest[stream] >= part {
                let (positions, before) = events(shared, name, self.newest[stream], from, to)?;
                found.extend(positions);
                self.newest[stream] = before;
            }
        }
        found.sort_unstable_by_key(|position| std::cmp::Reverse(*position));
        found.dedup();
        self.next = found.into();
        Ok(true)
    }

    /// Which stream has its newest event at `position`.
    fn of(&self, position: u64) -> usize {
        self.newest.iter().position(|newest| *newest == position).unwrap_or_default()
    }
}

/// Returns where the part begins that holds the event at `position` of `stream`, and the position of the stream's newest
/// event before that part, 0 if there is none.
fn before(shared: &Shared, stream: &str, position: u64) -> Result<(u64, u64), Error> {
    let held = {
        let state = shared.state();
        let parts = &state.index.parts;
        if let Some(active) = parts.active_with(position) {
            return Ok((active.first, active.before(position)));
        }
        parts.done_with(position).cloned().ok_or_else(|| lost(position))?
    };
    match held {
        Held::Memory(part) => Ok((part.first, part.before(position))),
        Held::File(file) => Ok((file.first(), file.find(&shared.segments, stream)?.before)),
    }
}

/// Returns the positions within `from..=to` of `stream` in the part that holds its event at `position`, and the position
/// of its newest event before that part, 0 if there is none.
fn events(
    shared: &Shared,
    stream: &str,
    position: u64,
    from: u64,
    to: u64,
) -> Result<(Vec<u64>, u64), Error> {
    let mut positions = Vec::new();
    let held = {
        let state = shared.state();
        let parts = &state.index.parts;
        if let Some(active) = parts.active_with(position) {
            active.positions(position, from, to, &mut positions);
            return Ok((positions, active.before(position)));
        }
        parts.done_with(position).cloned().ok_or_else(|| lost(position))?
    };
    match held {
        Held::Memory(part) => {
            part.positions(position, from, to, &mut positions);
            Ok((positions, part.before(position)))
        }
        Held::File(file) => {
            let mut found = file.find(&shared.segments, stream)?;
            found.positions.retain(|position| (from..=to).contains(position));
            Ok((found.positions, found.before))
        }
    }
}
