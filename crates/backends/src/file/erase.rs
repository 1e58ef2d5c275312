//! Erasing from the disk what was deleted: the segments that hold some of it are written anew.

use std::collections::HashMap;
use std::sync::Arc;

use steadfast_core::store::{Durability, Error};

use super::erased::Erased;
use super::format::frame;
use super::index::{Deleted, Held};
use super::log::FileLog;
use super::rewrite::{Form, rewrite};
use super::shared::{Shared, read_error};
use super::state::{Queued, State, Status};

/// What erasing has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erasure {
    /// How many events were overwritten.
    pub events: u64,
    /// How many segments were written anew for it.
    pub segments: u64,
}

type DeletedStreams = HashMap<Arc<str>, Deleted>;

impl FileLog {
    /// Erases all events that have been deleted by now: when it returns, the files of the log hold their identities,
    /// their revisions and the names of their streams, and nothing else of them.
    ///
    /// Every segment that holds some of them is read and written anew, beside the old one, and then put in its place; the
    /// room is given back in pages of 4 KiB. Where the newest segment holds some, the log goes on in another one first.
    /// Appends and reads go on meanwhile.
    ///
    /// Blocks that the file system or the drive keeps are beyond it, and so are copies: those that a repair has made
    /// (`cut-N`), backups, and what readers in other processes have open, which let go of it within two seconds.
    ///
    /// # Errors
    /// [`Error::Full`] and [`Error::Io`] when a segment could not be written anew, which leaves it as it was: the log
    /// goes on, and erasing may be repeated. [`Error::Damaged`], [`Error::Closed`], [`Error::Poisoned`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open what is erased; erasing again is allowed.
    ///
    /// # Examples
    /// ```
    /// use steadfast_backends::file::{Config, FileLog};
    /// use steadfast_core::Event;
    /// use steadfast_core::store::{Batch, Condition, Durability, EventStore};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let config = Config { segment_size: "64KiB".parse()?, ..Config::default() };
    /// let log = FileLog::open(folder.path(), config)?;
    /// let named = Event::new("/customers", "customer.named").data("text/plain", "Ada Lovelace");
    /// log.append(Batch::to_stream("customer-1", [named]), Condition::Any, Durability::Durable).await?;
    /// log.delete("customer-1", None, Durability::Durable).await?;
    /// assert_eq!(log.erase().await?.events, 1);
    /// # log.close().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn erase(&self) -> Result<Erasure, Error> {
        self.shared.check_open()?;
        let (deleted, position) = {
            let state = self.shared.state();
            (state.index.deletions.all(), state.next)
        };
        if deleted.is_empty() {
            return Ok(Erasure::default());
        }
        // What is erased must stay deleted, whatever happens: the deletions become durable, and then the frame behind them
        // that tells so.
        self.durable(|_, _| None).await?;
        self.durable(|state, made| {
            let begins = state.index.parts.active_holds(&deleted);
            let lacks = state.lacks(frame::HEADER, begins, made);
            if lacks.is_none() {
                state.put_deletions(&[], begins);
            }
            lacks
        })
        .await?;
        let shared = Arc::clone(&self.shared);
        let erasing = tokio::task::spawn_blocking(move || erase(&shared, &deleted, position));
        erasing.await.unwrap_or_else(|error| Err(read_error(error.into())))
    }

    /// Lets `put` queue something and waits until all that is queued is durable. It is told which segment is made, and
    /// says which one has to be made first, if any.
    async fn durable(&self, mut put: impl FnMut(&mut State, u32) -> Option<u32>) -> Result<(), Error> {
        let mut made = 0;
        let queued = loop {
            let lacks = {
                let mut state = self.shared.state();
                match state.status {
                    Status::Open => {}
                    Status::Closed => return Err(Error::Closed),
                    Status::Poisoned => return Err(Error::Poisoned),
                }
                match put(&mut state, made) {
                    None => break state.wait(Durability::Durable),
                    Some(lacks) => lacks,
                }
            };
            self.make_ahead(lacks).await?;
            made = lacks;
        };
        self.shared.notify();
        if let Queued::Waiting(answer) = queued {
            answer.await?;
        }
        Ok(())
    }
}

/// Erases what is `deleted` from all finished segments.
fn erase(shared: &Shared, deleted: &DeletedStreams, position: u64) -> Result<Erasure, Error> {
    let mut erasure = Erasure::default();
    let finished = shared.state().index.parts.finished();
    for number in finished {
        // Held while a segment is replaced: the log is not given back before.
        let _rewriting = shared.rewriting.lock();
        shared.check_open()?;
        let Some(held) = shared.state().index.parts.held(number) else { continue };
        if holds(shared, &held, deleted)? {
            let stored = shared.segments.stored(number).map_err(read_error)?;
            let form = if stored.archived { Form::Archived } else { Form::Plain };
            let erased = rewrite(shared, &held, deleted, form)?;
            erasure.events += erased;
            erasure.segments += u64::from(erased > 0);
        }
    }
    let _rewriting = shared.rewriting.lock();
    shared.check_open()?;
    // What an earlier attempt has put in place may not be durable yet.
    shared.segments.disk().sync_dir(shared.segments.folder()).map_err(read_error)?;
    let identity = shared.state().identity;
    if let Err(error) = (Erased { identity, position }).store(&shared.segments) {
        tracing::warn!(%error, "what is erased will be looked for again when the log is opened");
    }
    let deletions = Arc::clone(&shared.state().index.deletions);
    deletions.note_erased(|stream, found| deleted.get(stream) == Some(&found));
    Ok(erasure)
}

/// Says whether a part holds events that are `deleted`; they may be erased.
fn holds(shared: &Shared, held: &Held, deleted: &DeletedStreams) -> Result<bool, Error> {
    match held {
        Held::Memory(part) => Ok(part.holds(deleted)),
        Held::File(file) => {
            for (stream, deleted) in deleted {
                let found = file.look_for(&shared.segments, stream)?;
                if found
                    .is_some_and(|found| !found.positions.is_empty() && found.first_revision < deleted.below)
                {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }
}
