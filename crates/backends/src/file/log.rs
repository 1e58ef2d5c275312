use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt};
use parking_lot::Mutex;
use steadfast_base::disk::{Disk, DiskLock, RealDisk};
use steadfast_core::store::{
    Appended, Archived, Batch, Capabilities, Condition, Deleted, Durability, Error, EventStore, Expected,
    Filter, Position, Query, Revision, StoredEvent,
};

use super::archive::{Archival, Archiver};
use super::config::Config;
use super::delete::Deleting;
use super::delete_again::DeleteAgain;
use super::format::VERSION;
use super::format::segment::Header;
use super::group::Group;
use super::index::{ANOTHER, Held};
use super::prepare::{Preparer, make};
use super::progress::Progress;
use super::reader::Reader;
use super::recovery::{Recovered, newest_header, opening, recover};
use super::sealed::Sealer;
use super::segments::Segments;
use super::shared::{Shared, read_error};
use super::state::{Queued, Scan, State, Status};
use super::streaming::{chunk, events, follow};
use super::writer::{Writer, mark};

/// An event store in a folder of its own: one process, one writing thread, no server.
///
/// Batches that come while the disk is busy are written together and share one `fdatasync`. Events can be read
/// once they are [`Durability::Written`]; with [`Durability::Durable`] asked for, a reader may thus see an event
/// before its append returns, and the loss of power may take such an event back.
///
/// Events that are read over all streams share what was read from the disk at once, up to a mebibyte: whoever keeps a few
/// of them for long copies their data.
///
/// Dropping the log closes it, which blocks until what was accepted is written; [`EventStore::close`] waits
/// without blocking and reports errors.
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
/// let created = Event::new("/orders", "order.created").subject("order-1").build();
/// let batch = Batch::to_stream("order-1", [created]);
/// let appended = log.append(batch, Condition::Any, Durability::Durable).await?;
/// assert_eq!(appended.achieved, Durability::Durable);
/// log.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FileLog {
    pub(super) shared: Arc<Shared>,
    capabilities: Capabilities,
    writer: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl FileLog {
    /// Opens the log in `folder`, or makes one there, on the file system of the operating system.
    ///
    /// It blocks: all segments are read. A torn tail is cut; it holds nothing that an append has promised.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process, or another log of this one, has it open; [`Error::Damaged`];
    /// [`Error::Unsupported`] for a later format; [`Error::Full`] and [`Error::Io`].
    #[allow(clippy::needless_pass_by_value, reason = "what a log was opened with belongs to it")]
    pub fn open(folder: impl AsRef<Path>, config: Config) -> Result<Self, Error> {
        Self::open_on(Arc::new(RealDisk), folder, config)
    }

    /// Opens the log that is in `folder`, and makes none. New segments get the length of the newest one.
    ///
    /// # Errors
    /// [`Error::Io`] with [`std::io::ErrorKind::NotFound`] when no log is there; those of [`FileLog::open`].
    pub fn open_existing(folder: impl AsRef<Path>) -> Result<Self, Error> {
        let segments = Segments::new(Arc::new(RealDisk), folder.as_ref().to_owned());
        let size = newest_header(&segments)?.size;
        let segment_size = steadfast_base::units::Size::from_bytes(size);
        Self::open(folder, Config { segment_size, ..Config::default() })
    }

    /// Opens the log in `folder` of `disk`, or makes one there.
    ///
    /// # Errors
    /// Those of [`FileLog::open`].
    #[allow(clippy::needless_pass_by_value, reason = "what a log was opened with belongs to it")]
    pub fn open_on(disk: Arc<dyn Disk>, folder: impl AsRef<Path>, config: Config) -> Result<Self, Error> {
        let folder = folder.as_ref();
        disk.create_dir_all(folder).map_err(opening)?;
        let lock = lock(&*disk, folder)?;
        Self::open_locked(Segments::new(disk, folder.to_owned()), lock, &config).map(|(log, _)| log)
    }

    /// Opens the log in the folder of `segments`, which `lock` is of, and returns how many streams were deleted again
    /// that a repair had brought back.
    pub(super) fn open_locked(
        segments: Segments,
        lock: Box<dyn DiskLock>,
        config: &Config,
    ) -> Result<(Self, u64), Error> {
        let Recovered { index, mut file, mut header, tail, next, clean, sealed, told } =
            recover(&segments, config)?;
        let state = State {
            index,
            group: Group::default(),
            status: Status::Open,
            failure: None,
            identity: header.identity,
            next,
            tail,
            segment_bytes: header.size,
            segment_version: header.version,
            new_segment_bytes: config.segment_bytes(),
            progress: Arc::new(Progress::new(next - 1, tail, told)),
            queue_bytes_max: usize::try_from(config.queue_size_max.bytes()).unwrap_or(usize::MAX).max(1),
            placed: Vec::new(),
        };
        let shared = Arc::new(Shared::new(segments, state));
        let new_header = Header { version: VERSION, size: config.segment_bytes(), ..header };
        if !clean {
            match mark(&shared, &mut file, |number| make(&shared, Header { number, ..new_header })) {
                // Where that is another segment, the one before counts as finished from now on.
                Ok(last) => header.number = last,
                // There is no room for another segment: what is there can be read all the same.
                Err(error @ Error::Full) => {
                    tracing::warn!(%error, "the log could not be marked as durable when it was opened");
                }
                Err(error) => return Err(error),
            }
        }
        let end = shared.state().tail;
        shared.progress.set_durable(next - 1, end);
        let preparer =
            Preparer::new(Arc::clone(&shared), new_header, config.prepare_ahead).map_err(opening)?;
        let sealer = Sealer::new(Arc::clone(&shared), header.identity, sealed, config.prepare_ahead)
            .map_err(opening)?;
        let archiver = Archiver::new(&shared, config.archive_behind, config.prepare_ahead);
        let again = DeleteAgain::load(&shared.segments, header.identity)?;
        let mut writer = Writer {
            shared: Arc::clone(&shared),
            identity: header.identity,
            file,
            segment: header.number,
            written_end: end,
            durable_end: end,
            telling: told,
            written: next - 1,
            announced: None,
            preparer,
            sealer,
            archiver: archiver.map_err(opening)?,
            lock,
        };
        let deleted_again = match again.is_empty() {
            true => 0,
            false => match writer.delete_again(&again) {
                Ok(deleted) => deleted,
                Err(error) => return Err(writer.abandon(error)),
            },
        };
        let thread = std::thread::Builder::new()
            .name("log-write".to_owned())
            .spawn(move || writer.run())
            .map_err(opening)?;
        let log = Self {
            shared,
            capabilities: Capabilities::new(Durability::Durable, true, config.deduplicated_events.into())
                .deletes()
                .archives(),
            writer: Mutex::new(Some(thread)),
        };
        Ok((log, deleted_again))
    }

    /// Closes the log. It blocks.
    pub(super) fn close_now(self) -> Result<(), Error> {
        self.shared.begin_close();
        self.join();
        self.shared.state().failure.clone().map_or(Ok(()), Err)
    }

    async fn append_now(
        &self,
        batch: Batch,
        condition: Condition,
        durability: Durability,
    ) -> Result<Appended, Error> {
        if durability > Durability::Durable {
            return Err(Error::unsupported_durability(durability));
        }
        let (mut batch, mut scanned) = (batch, 0);
        loop {
            let queued = self.shared.state().queue(batch, &condition, durability, scanned)?;
            let scan = match queued {
                Queued::Done(appended) => {
                    self.shared.notify();
                    return Ok(appended);
                }
                Queued::Waiting(answer) => {
                    self.shared.notify();
                    return answer.await;
                }
                Queued::Refused(answer, refusal) => {
                    self.shared.notify();
                    // Where what it tells of was not written, nobody knows any more whether it holds.
                    return Err(answer.await.map_or(Error::Poisoned, |_| refusal));
                }
                Queued::Scan(untouched, scan) => {
                    batch = untouched;
                    scan
                }
                Queued::Identify(untouched, first) => {
                    batch = untouched;
                    Box::pin(self.identify(&batch, first)).await?;
                    continue;
                }
            };
            scanned = scan.to;
            // Boxed, for it is large and rare.
            if Box::pin(self.any(scan)).await? {
                return Err(Error::Conflict { stream: "".into(), actual: None });
            }
        }
    }

    /// Looks up of which streams the events are that stand from `first` on, as many as the batch has, if they are those
    /// of the batch.
    async fn identify(&self, batch: &Batch, first: u64) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        let streams: Vec<Arc<str>> = batch.events.iter().map(|new| Arc::clone(&new.stream)).collect();
        let looking = tokio::task::spawn_blocking(move || {
            for (stream, position) in streams.iter().zip(first..) {
                let held = shared.state().index.parts.done_with(position).cloned();
                let Some(Held::File(file)) = held else { continue };
                let revision = file.revision_at(&shared.segments, stream, position)?;
                let index = &mut shared.state().index;
                let number = revision.and_then(|_| index.streams.find(stream)).unwrap_or(ANOTHER);
                index.ids.tell(position, number, revision.unwrap_or_default());
            }
            Ok(())
        });
        looking.await.unwrap_or_else(|error| Err(read_error(error.into())))
    }

    /// Says whether an event is what the scan looks for.
    async fn any(&self, scan: Scan) -> Result<bool, Error> {
        let from = Some(Position::from_parts(scan.after, 0));
        let query = Query { filter: scan.filter, from, limit: Some(1), ..Query::default() };
        let mut reader = Reader::new(&self.shared, query);
        reader.end_at(scan.to);
        while !reader.is_done() {
            let (same, mut found) = chunk(reader).await?;
            if found.next().transpose()?.is_some() {
                return Ok(true);
            }
            reader = same;
        }
        Ok(false)
    }

    /// Waits for the writer, which has finished or is about to.
    fn join(&self) {
        if let Some(thread) = self.writer.lock().take() {
            let _ = thread.join();
        }
    }
}

/// Takes the lock of the log in `folder`.
pub(super) fn lock(disk: &dyn Disk, folder: &Path) -> Result<Box<dyn DiskLock>, Error> {
    let path = folder.join("lock");
    disk.lock(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => Error::Locked { path: path.display().to_string() },
        _ => opening(error),
    })
}

impl EventStore for FileLog {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn append(
        &self,
        batch: Batch,
        condition: Condition,
        durability: Durability,
    ) -> BoxFuture<'_, Result<Appended, Error>> {
        Box::pin(self.append_now(batch, condition, durability))
    }

    fn read(&self, query: Query) -> BoxStream<'_, Result<StoredEvent, Error>> {
        if let Err(closed) = self.shared.check_open() {
            return stream::iter([Err(closed)]).boxed();
        }
        events(Reader::new(&self.shared, query)).boxed()
    }

    fn subscribe(&self, filter: Filter, after: Position) -> BoxStream<'_, Result<StoredEvent, Error>> {
        if let Err(closed) = self.shared.check_open() {
            return stream::iter([Err(closed)]).boxed();
        }
        follow(&self.shared, filter, after).boxed()
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, Error>> {
        Box::pin(async {
            self.shared.check_open()?;
            Ok(Position::from_parts(self.shared.progress.readable(), 0))
        })
    }

    fn revision<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<Option<Revision>, Error>> {
        Box::pin(async move {
            self.shared.check_open()?;
            let state = self.shared.state();
            Ok(state.index.revision_until(stream, self.shared.progress.readable()).map(Revision))
        })
    }

    /// The bytes of the events are overwritten by [`FileLog::erase`], and stay on the disk until then. Where a deletion
    /// could not be written, it is open whether the stream is deleted, and a log that has failed leaves the events out until
    /// it is opened again.
    fn delete<'a>(
        &'a self,
        stream: &'a str,
        expected: Option<Expected>,
        durability: Durability,
    ) -> BoxFuture<'a, Result<Deleted, Error>> {
        Box::pin(async move {
            if durability > Durability::Durable {
                return Err(Error::unsupported_durability(durability));
            }
            let mut made = 0;
            loop {
                let deleted = self.shared.state().delete(stream, expected, durability, made);
                self.shared.notify();
                return match deleted? {
                    Deleting::Lacks(number) => {
                        self.make_ahead(number).await?;
                        made = number;
                        continue;
                    }
                    Deleting::Queued(events, Queued::Waiting(answer)) => {
                        // What is in memory has followed already.
                        answer.await.map_err(|error| self.shared.left_open(&error))?;
                        Ok(Deleted { events, achieved: durability })
                    }
                    Deleting::Queued(_, Queued::Refused(answer, refusal)) => {
                        // Where what it tells of was not written, nobody knows any more whether it holds.
                        Err(answer.await.map_or(Error::Poisoned, |_| refusal))
                    }
                    Deleting::Queued(events, _) => Ok(Deleted { events, achieved: durability }),
                };
            }
        })
    }

    /// A part is a segment; [`FileLog::archive`] says more of what was done.
    fn archive(&self, kept: u32) -> BoxFuture<'_, Result<Archived, Error>> {
        Box::pin(async move {
            let Archival { segments, bytes_before, bytes_after, .. } = FileLog::archive(self, kept).await?;
            Ok(Archived { parts: segments, bytes_before, bytes_after })
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async {
            self.shared.begin_close();
            let mut head = self.shared.head.subscribe();
            // The sender lives in `self`.
            let _ = head.wait_for(|head| head.closed).await;
            self.join();
            self.shared.state().failure.clone().map_or(Ok(()), Err)
        })
    }
}

impl Drop for FileLog {
    fn drop(&mut self) {
        self.shared.begin_close();
        self.join();
    }
}
