//! Following what another process writes: frame after frame, up to the first that is not there yet.

use std::io;
use std::sync::Arc;

use steadfast_core::store::Error;

use super::format::Offset;
use super::format::frame::Invalid;
use super::format::segment::Header;
use super::index::Index;
use super::recovery::{damaged, opening, read_header, take, visit_written};
use super::sealed::PartFile;
use super::shared::Shared;
use super::window::Window;

/// How much is read at once.
const READ: usize = 256 << 10;
/// How many frames readers wait for at most while more are read.
const FRAMES_MAX: u32 = 1024;
/// How many polls may pass between two looks behind a frame that is not whole.
const PAUSE_MAX: u32 = 63;
/// For how many segments an index file is looked for at once.
const LET_GO_MAX: usize = 4;

/// How far another process's log has been read.
///
/// It never passes a frame that is not whole. A frame that is not is one that is being written, unless a later one
/// tells that the log was durable beyond it; then it is damage.
#[derive(Debug)]
pub(super) struct Follower {
    shared: Arc<Shared>,
    /// What the first segment says.
    first: Header,
    /// The segment that is being read.
    header: Header,
    window: Window,
    tail: Offset,
    looks: Looks,
}

/// How often it has been looked behind a frame that is not whole: all that is written there is read for it, which a
/// writer that has died in the middle of a frame leaves as it is until somebody opens the log.
#[derive(Debug)]
struct Looks {
    at: Offset,
    /// How many are left out after the last one, and how many of them are yet to come.
    pause: u32,
    left: u32,
}

impl Looks {
    /// Says whether this one is left out: after each one twice as many as before, at most [`PAUSE_MAX`].
    fn is_to_wait(&mut self, at: Offset) -> bool {
        if self.at != at {
            *self = Self { at, pause: 0, left: 0 };
        }
        if self.left > 0 {
            self.left -= 1;
            return true;
        }
        self.pause = (self.pause * 2 + 1).min(PAUSE_MAX);
        self.left = self.pause;
        false
    }
}

impl Follower {
    pub(super) fn new(shared: Arc<Shared>, first: Header) -> Self {
        let ahead = READ.min(first.size as usize);
        Self {
            shared,
            first,
            header: first,
            window: Window::new(ahead),
            tail: Offset::start_of(1),
            looks: Looks { at: Offset::start_of(1), pause: 0, left: 0 },
        }
    }

    /// Reads all that is there by now.
    ///
    /// # Errors
    /// [`Error::Damaged`] and [`Error::Unsupported`], from then on always; [`Error::Io`], after which it may be called again.
    pub(super) fn catch_up(&mut self) -> Result<(), Error> {
        let failure = self.shared.state().failure.clone();
        failure.map_or(Ok(()), Err)?;
        let caught_up = self.read_on();
        if let Err(error) = &caught_up
            && !matches!(error, Error::Io { .. })
        {
            self.shared.state().failure = Some(error.clone());
        }
        caught_up
    }

    fn read_on(&mut self) -> Result<(), Error> {
        // What was read before may be older than what is there.
        self.look_again();
        let mut frames = 0;
        let result = loop {
            match self.step() {
                Ok(true) => {
                    frames += 1;
                    if frames % FRAMES_MAX == 0 {
                        self.publish();
                    }
                }
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.publish();
        result
    }

    fn publish(&self) {
        let readable = self.shared.state().next - 1;
        if self.shared.progress.readable() != readable {
            self.shared.publish_readable(readable, self.tail);
        }
    }

    /// Takes the next frame, if it is there.
    fn step(&mut self) -> Result<bool, Error> {
        let at = self.tail;
        let Some(problem) = self.take_frame()? else { return Ok(true) };
        // The writer may have finished it since, or have removed the segment and made it again.
        self.look_again();
        if self.take_frame()?.is_none() {
            return Ok(true);
        }
        if problem == Invalid::Empty && self.goes_on()? {
            return Ok(true);
        }
        if problem != Invalid::Empty && self.looks.is_to_wait(at) {
            return Ok(false);
        }
        if let Some(witness) = self.witness(problem).map_err(opening)? {
            // What the witness says was so before the frame was read for the last time.
            self.look_again();
            let Some(problem) = self.take_frame()? else { return Ok(true) };
            let what = match problem {
                Invalid::Empty => "a frame is missing",
                Invalid::Broken(what) => what,
            };
            let problem = format!("{what}, though the frame in {witness} says it was durable");
            return Err(damaged(at.to_string(), problem));
        }
        Ok(false)
    }

    fn look_again(&mut self) {
        self.window.clear();
        self.shared.segments.forget(self.tail.segment());
    }

    /// Takes the frame at the tail into the index, or says why there is none.
    fn take_frame(&mut self) -> Result<Option<Invalid>, Error> {
        let at = self.tail;
        let file = match self.shared.segments.reader(at.segment()) {
            // A segment with nothing but a torn tail is removed when the log is opened, and made again.
            Err(error) if error.kind() == io::ErrorKind::NotFound && at.segment() > 1 => {
                return Ok(Some(Invalid::Empty));
            }
            file => file.map_err(opening)?,
        };
        match self.window.frame(&*file, self.first.identity, at).map_err(opening)? {
            Ok(frame) => {
                let mut state = self.shared.state();
                let mut next = state.next;
                let taken = take(frame, at, &mut state.index, &mut next);
                // IMPORTANT: Nobody may read events of a frame that is wrong.
                taken.map_err(|problem| damaged(at.to_string(), problem))?;
                state.next = next;
                drop(state);
                self.tail = at.plus(frame.length);
                if at == Offset::start_of(at.segment()) {
                    self.let_go()?;
                }
                Ok(None)
            }
            Err(problem) => Ok(Some(problem)),
        }
    }

    /// Lets go of what is in memory of finished segments and in files of the writer's too. A file that it has not made
    /// yet is looked for once more when the next segment begins.
    fn let_go(&self) -> Result<(), Error> {
        let unsealed = self.shared.state().index.parts.unsealed();
        for number in unsealed.into_iter().rev().take(LET_GO_MAX) {
            let file = PartFile::open(&self.shared.segments, number, self.first.identity).map_err(opening)?;
            let mut state = self.shared.state();
            if let Some(file) = file
                && let Some(part) = state.index.parts.in_memory(number)
                && (file.first(), file.next()) == (part.first, part.next())
            {
                state.index.parts.replace(Arc::new(file));
            }
        }
        Ok(())
    }

    /// Goes on in the next segment if that starts with the frame that is due.
    fn goes_on(&mut self) -> Result<bool, Error> {
        let number = self.tail.segment() + 1;
        let segments = &self.shared.segments;
        segments.forget(number);
        let file = match segments.reader(number) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            file => file.map_err(opening)?,
        };
        let header = read_header(segments, number, Some(&self.first))?;
        let start = Offset::start_of(number);
        let next = self.shared.state().next;
        let found = self.window.frame(&*file, self.first.identity, start).map_err(opening)?;
        let due = found.is_ok_and(|frame| frame.first == next && frame.durable <= self.tail);
        if due {
            (self.header, self.tail) = (header, start);
        }
        Ok(due)
    }

    /// Looks for a frame that says that the log was durable beyond the tail, if anything stands there.
    fn witness(&mut self, problem: Invalid) -> io::Result<Option<Offset>> {
        let (tail, identity) = (self.tail, self.first.identity);
        let file = match self.shared.segments.reader(tail.segment()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        if problem == Invalid::Empty {
            // Most often nothing has been written yet, and the rest of the segment need not be read to know it.
            let ahead = self.window.at(&*file, tail, READ)?;
            if ahead.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
        }
        let mut witness = None;
        let window = &mut self.window;
        visit_written(&*file, tail, self.header.size, &mut |at| {
            if witness.is_none()
                && let Ok(frame) = window.frame(&*file, identity, at)?
                && frame.durable > tail
            {
                witness = Some(at);
            }
            Ok(())
        })?;
        Ok(witness)
    }
}

/// The index of a log that nobody here appends to.
pub(super) fn index() -> Index {
    Index::without_ids(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_broken_is_looked_behind_less_and_less_often() {
        let mut looks = Looks { at: Offset::start_of(1), pause: 0, left: 0 };
        let (at, next) = (Offset::start_of(2), Offset::start_of(3));
        let mut pauses = Vec::new();
        let mut pause = 0;
        for _ in 0..400 {
            match looks.is_to_wait(at) {
                true => pause += 1,
                false => pauses.push(std::mem::take(&mut pause)),
            }
        }
        assert_eq!(pauses[..8], [0, 1, 3, 7, 15, 31, PAUSE_MAX, PAUSE_MAX]);
        assert!(!looks.is_to_wait(next), "another frame is looked behind at once");
        assert!(looks.is_to_wait(next) && !looks.is_to_wait(next));
    }
}
