//! Archiving finished segments: they are compressed, and read as before.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use steadfast_core::store::{Error, Outcome};

use super::log::FileLog;
use super::rewrite::{Form, rewrite};
use super::shared::{Shared, read_error};

/// What archiving has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Archival {
    /// How many segments were archived.
    pub segments: u64,
    /// How many bytes their files had before.
    pub bytes_before: u64,
    /// How many bytes their files have now.
    pub bytes_after: u64,
    /// How many events, which had been deleted, were left out.
    pub events_erased: u64,
}

impl FileLog {
    /// Archives all finished segments but the newest `kept`: each is written anew, compressed by zstd in blocks of 64 KiB,
    /// beside the old one, and then put in its place. What was deleted is left out.
    ///
    /// An archived segment is read, followed, verified and repaired like any other. Appends and reads go on meanwhile.
    ///
    /// # Errors
    /// [`Error::Full`] and [`Error::Io`] when a segment could not be written, which leaves it as it was: the log goes on,
    /// and archiving may be repeated. [`Error::Damaged`] when one is damaged, which is left alone. [`Error::Closed`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open what is archived; archiving again is allowed.
    ///
    /// # Examples
    /// ```
    /// use steadfast_backends::file::{Config, FileLog};
    /// # use steadfast_core::Event;
    /// # use steadfast_core::store::{Batch, Condition, Durability, EventStore};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let config = Config { segment_size: "4KiB".parse()?, ..Config::default() };
    /// let log = FileLog::open(folder.path(), config)?;
    /// # for _ in 0..100 {
    /// #     let event = Event::new("/orders", "order.created").data("text/plain", vec![b'x'; 100]);
    /// #     log.append(Batch::to_stream("order-1", [event]), Condition::Any, Durability::Durable).await?;
    /// # }
    /// let archived = log.archive(0).await?;
    /// assert!(archived.segments > 0 && archived.bytes_after < archived.bytes_before);
    /// # log.close().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn archive(&self, kept: u32) -> Result<Archival, Error> {
        self.shared.check_open()?;
        let shared = Arc::clone(&self.shared);
        let archiving = tokio::task::spawn_blocking(move || archive(&shared, kept));
        archiving.await.unwrap_or_else(|error| Err(read_error(error.into())))
    }
}

/// Archives what [`FileLog::archive`] does.
fn archive(shared: &Shared, kept: u32) -> Result<Archival, Error> {
    let finished = shared.state().index.parts.finished();
    let count = finished.len().saturating_sub(kept as usize);
    let mut archival = Archival::default();
    for number in finished.into_iter().take(count) {
        // Held while a segment is replaced: the log is not given back before.
        let _rewriting = shared.rewriting.lock();
        shared.check_open()?;
        let held = shared.state().index.parts.held(number);
        let (durable, told) = (shared.progress.durable_end(), shared.progress.told());
        let Some(held) = held else { continue };
        // The log must never go on in a segment that is archived, so something durable must stand behind it.
        let before = shared.segments.stored(number).map_err(archiving)?;
        if number >= durable.segment() || before.archived {
            continue;
        }
        // A deletion that nobody tells of could be taken for a torn tail when it is damaged.
        let deleted = shared.state().index.deletions.before(told);
        archival.events_erased += rewrite(shared, &held, &deleted, Form::Archived)?;
        archival.segments += 1;
        archival.bytes_before += before.bytes;
        archival.bytes_after += shared.segments.stored(number).map_err(archiving)?.bytes;
    }
    Ok(archival)
}

/// Archives segments in the background, on a thread of its own if asked to. What fails is tried again when the next
/// segment is finished.
#[derive(Debug)]
pub(super) enum Archiver {
    Off,
    Here(Work),
    Thread(mpsc::SyncSender<()>, JoinHandle<()>),
}

#[derive(Debug)]
pub(super) struct Work {
    shared: Arc<Shared>,
    kept: u32,
}

impl Archiver {
    /// Makes an archiver that leaves the newest `kept` finished segments as they are; none archives nothing.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn new(shared: &Arc<Shared>, kept: Option<u32>, thread: bool) -> io::Result<Self> {
        let Some(kept) = kept else { return Ok(Self::Off) };
        let work = Work { shared: Arc::clone(shared), kept };
        if !thread {
            return Ok(Self::Here(work));
        }
        let (orders, ordered) = mpsc::sync_channel(1);
        let name = "log-archive".to_owned();
        let handle = std::thread::Builder::new()
            .name(name)
            .spawn(move || ordered.into_iter().for_each(|()| work.archive()))?;
        let archiver = Self::Thread(orders, handle);
        archiver.wake();
        Ok(archiver)
    }

    /// Has whatever is due archived.
    pub(super) fn wake(&self) {
        match self {
            Self::Off => {}
            Self::Here(work) => work.archive(),
            // One that waits is enough.
            Self::Thread(orders, _) => drop(orders.try_send(())),
        }
    }

    /// Finishes the segment that is being archived, ends the thread and waits for it.
    pub(super) fn join(self) {
        if let Self::Thread(orders, handle) = self {
            drop(orders);
            let _ = handle.join();
        }
    }
}

impl Work {
    fn archive(&self) {
        match archive(&self.shared, self.kept) {
            Ok(_) | Err(Error::Closed) => {}
            Err(error) => tracing::warn!(%error, "a segment could not be archived"),
        }
    }
}

fn archiving(error: io::Error) -> Error {
    Error::io("archiving the log", error, Outcome::NotAppended)
}
