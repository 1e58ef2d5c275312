//! The one thread that writes: it takes all that waits, writes it with one call and syncs it with one call.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use steadfast_base::disk::{DiskFile, DiskLock};
use steadfast_core::store::{Durability, Error, Outcome};

use super::answer::{Meeting, Outcome as Fate};
use super::archive::Archiver;
use super::delete::Deleting;
use super::delete_again::DeleteAgain;
use super::format::{Offset, frame};
use super::group::{Group, Run};
use super::prepare::{Preparer, preparing};
use super::recovery::opening;
use super::sealed::Sealer;
use super::shared::Shared;

#[derive(Debug)]
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) identity: u64,
    pub(super) file: Box<dyn DiskFile>,
    pub(super) segment: u32,
    /// Up to where the log is written, and up to where it is durable.
    pub(super) written_end: Offset,
    pub(super) durable_end: Offset,
    /// Up to where the newest frame tells that the log is durable.
    pub(super) telling: Offset,
    /// The newest event written.
    pub(super) written: u64,
    /// Whose waiters have been told and may not all be woken.
    pub(super) announced: Option<Arc<Meeting>>,
    pub(super) preparer: Preparer,
    pub(super) sealer: Sealer,
    pub(super) archiver: Archiver,
    pub(super) lock: Box<dyn DiskLock>,
}

impl Writer {
    /// Works until the log closes.
    pub(super) fn run(mut self) {
        let mut group = Group::default();
        loop {
            if !self.shared.try_take_group(&mut group) {
                self.wake_rest();
                if !self.shared.take_group(&mut group) {
                    break;
                }
            }
            if let Err(error) = self.commit_or_die(&mut group) {
                tracing::error!(%error, "the log accepts no more appends until it is opened again");
                // Refusing comes first, so that whoever hears of the failure meets no log that still accepts.
                self.shared.poison(&error);
                group.fail(&Fate::Failed(error));
            }
            group.clear();
        }
        let shared = Arc::clone(&self.shared);
        if catch_unwind(AssertUnwindSafe(|| self.finish())).is_err() {
            shared.state().failure.get_or_insert_with(panicked);
            shared.head.send_modify(|head| head.closed = true);
        }
    }

    /// Deletes again what a repair has brought back, durably, and returns how many of the streams had events.
    pub(super) fn delete_again(&mut self, note: &DeleteAgain) -> Result<u64, Error> {
        let (mut deleted, mut group) = (0, Group::default());
        for (stream, below) in &note.streams {
            let mut made = 0;
            let events = loop {
                let mut state = self.shared.state();
                // Where there are more the repair has cut nothing, and the stream is as it was.
                if state.index.streams.of(stream).next_revision > *below {
                    break 0;
                }
                match state.delete(stream, None, Durability::Accepted, made)? {
                    Deleting::Queued(events, _) => break events,
                    Deleting::Lacks(number) => {
                        drop(state);
                        self.preparer.make(number).map_err(preparing)?;
                        made = number;
                    }
                }
            };
            deleted += u64::from(events > 0);
            self.shared.try_take_group(&mut group);
            self.commit(&mut group)?;
            group.clear();
        }
        self.sync()?;
        DeleteAgain::remove(&self.shared.segments).map_err(opening)?;
        if deleted > 0 {
            tracing::warn!(streams = deleted, "deleted again what a repair had brought back");
        }
        Ok(deleted)
    }

    /// Gives the log back that could not be opened.
    pub(super) fn abandon(self, error: Error) -> Error {
        self.shared.poison(&error);
        self.finish();
        error
    }

    /// Tells those who wait in `meeting`, if anybody does, and leaves most of the waking to the first of them.
    fn announce(&mut self, meeting: &mut Option<Arc<Meeting>>) {
        if let Some(meeting) = meeting.take() {
            self.wake_rest();
            meeting.announce(Fate::Done);
            self.announced = Some(meeting);
        }
    }

    /// Wakes whoever the first waiter has not woken.
    fn wake_rest(&mut self) {
        if let Some(meeting) = self.announced.take() {
            meeting.wake_rest();
        }
    }

    /// Commits; whoever waits hears of a panic too, and the log accepts no more then.
    fn commit_or_die(&mut self, group: &mut Group) -> Result<(), Error> {
        let done = catch_unwind(AssertUnwindSafe(|| self.commit(group)));
        done.unwrap_or_else(|_| Err(panicked()))
    }

    fn commit(&mut self, group: &mut Group) -> Result<(), Error> {
        for index in 0..group.runs.len() {
            let run = group.runs[index];
            if run.at.segment() != self.segment {
                // What stands in the segment before is written, if there is anything.
                let outcome = if index == 0 { Outcome::NotAppended } else { Outcome::Unknown };
                self.roll(run, outcome)?;
            }
            // The frame was sealed when it was queued; what has become durable since is worth telling.
            let first = &mut group.bytes[run.start..run.start + run.first_length];
            frame::seal(first, self.identity, run.at, self.durable_end);
            self.telling = self.durable_end;
            let next = group.runs.get(index + 1).map_or(group.bytes.len(), |next| next.start);
            let bytes = &group.bytes[run.start..next];
            let end = run.at.plus(bytes.len());
            self.file.write_all_at(bytes, run.at.byte().into()).map_err(|error| Error::Io {
                doing: "writing to the log",
                source: Arc::new(error),
                outcome: Outcome::Unknown,
            })?;
            self.written_end = end;
        }
        if let Some(last) = group.last {
            self.written = last;
            self.shared.publish_readable(last, self.written_end);
        }
        self.announce(&mut group.written);
        if group.durable.is_some() {
            self.sync()?;
            self.announce(&mut group.durable);
        }
        self.preparer.foresee(self.segment, self.written_end.byte());
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        if self.durable_end < self.written_end {
            self.file.sync_data().map_err(|error| Error::io("syncing the log", error, Outcome::Unknown))?;
            self.durable_end = self.written_end;
            self.shared.progress.set_durable(self.written, self.durable_end);
            self.shared.progress.set_told(self.telling);
        }
        Ok(())
    }

    /// Goes on in the segment of `run`. The one before is made durable first, so that only the newest segment can
    /// have a torn tail, and can be read: its index goes to the disk now, and says of all of it that it can.
    fn roll(&mut self, run: Run, outcome: Outcome) -> Result<(), Error> {
        let number = run.at.segment();
        self.written = run.before;
        // First: whoever appends again what is durable is told so at once, and must find it.
        self.shared.publish_readable(self.written, self.written_end);
        self.sync()?;
        self.file = self
            .preparer
            .take(number)
            .map_err(|error| Error::io("preparing the next segment of the log", error, outcome))?;
        // All of the one before is durable.
        self.sealer.seal(std::mem::replace(&mut self.segment, number));
        self.archiver.wake();
        Ok(())
    }

    /// Leaves a mark that all of it is durable, and gives the lock back.
    fn finish(self) {
        let Self { shared, mut file, segment, mut preparer, mut sealer, archiver, lock, .. } = self;
        let failed = shared.state().failure.is_some();
        if !failed {
            match mark(&shared, &mut file, |number| preparer.take(number)) {
                Ok(number) if number != segment => sealer.seal(segment),
                Ok(_) => {}
                // There is no room for another segment: all is durable, and nothing says so.
                Err(error @ Error::Full) => {
                    tracing::warn!(%error, "the log could not be marked as durable when it was closed");
                }
                Err(error) => {
                    tracing::error!(%error, "the log could not be closed cleanly");
                    shared.state().failure = Some(error);
                }
            }
        }
        preparer.join();
        sealer.join();
        archiver.join();
        // Whoever replaces a segment now is done first.
        let rewriting = shared.rewriting.lock();
        drop((file, lock, rewriting));
        shared.head.send_modify(|head| head.closed = true);
    }
}

fn panicked() -> Error {
    let panicked = io::Error::other("the thread that writes panicked, which is a defect");
    Error::io("writing to the log", panicked, Outcome::Unknown)
}

/// Makes all of the log durable and says so in a last frame, in the segment that `next` makes if this one has no more
/// room. Returns the number of the segment that is now the last.
pub(super) fn mark(
    shared: &Shared,
    file: &mut Box<dyn DiskFile>,
    next: impl FnOnce(u32) -> io::Result<Box<dyn DiskFile>>,
) -> Result<u32, Error> {
    const MARKING: &str = "marking the log as durable";
    let failed = |error| Error::io(MARKING, error, Outcome::Unknown);
    file.sync_data().map_err(failed)?;
    let (tail, at) = {
        let state = shared.state();
        (state.tail, state.place_of_mark())
    };
    if at.segment() != tail.segment() {
        *file = next(at.segment()).map_err(|error| Error::io(MARKING, error, Outcome::NotAppended))?;
    }
    let bytes = shared.state().mark();
    file.write_all_at(&bytes, at.byte().into()).map_err(failed)?;
    file.sync_data().map_err(failed)?;
    shared.progress.set_told(tail);
    Ok(at.segment())
}
