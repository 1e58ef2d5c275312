use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use parking_lot::Mutex;
use steadfast_base::disk::{Disk, RealDisk};
use steadfast_core::store::{
    Appended, Batch, Capabilities, Condition, Durability, Error, EventStore, Filter, Position, Query,
    Revision, StoredEvent,
};

use super::delete_again::DeleteAgain;
use super::follower::{Follower, index};
use super::format::Offset;
use super::format::segment;
use super::group::Group;
use super::progress::Progress;
use super::reader::Reader;
use super::recovery::{damaged, opening, read_header};
use super::segments::Segments;
use super::shared::{Shared, read_error};
use super::state::{State, Status};
use super::streaming::{events, follow};

/// How often what another process has written is looked for.
const POLL: Duration = Duration::from_millis(20);
/// After how many times files are opened again, for the writer may have replaced them: those that were there before stay
/// on the disk as long as somebody has them open.
const POLLS_PER_FILE: u32 = 50;

/// A file log that another process may be writing to, open for reading.
///
/// It takes no lock, writes nothing, and follows the writer: an event is returned once its whole batch is in the
/// page cache, which is [`Durability::Written`], and never before. Where the writer ends, dies or cuts a torn tail, it
/// waits for the next one. Damage ends reads and subscriptions with an error and is never passed over; where the disk
/// cannot be read, reads fail and subscriptions wait until it can.
///
/// What it keeps in memory is what [`FileLog`](super::FileLog) keeps, but for the ids.
///
/// # Examples
/// ```
/// use futures::TryStreamExt;
/// use steadfast_backends::file::{Config, FileLog, FileLogReader};
/// use steadfast_core::Event;
/// use steadfast_core::store::{Batch, Condition, Durability, EventStore, Query};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let config = Config { segment_size: "64KiB".parse()?, ..Config::default() };
/// let log = FileLog::open(folder.path(), config)?;
/// let reader = FileLogReader::open(folder.path())?;
/// let created = Event::new("/orders", "order.created").build();
/// log.append(Batch::to_stream("order-1", [created]), Condition::Any, Durability::Written).await?;
/// let events: Vec<_> = reader.read(Query::default()).try_collect().await?;
/// assert_eq!(events.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FileLogReader {
    shared: Arc<Shared>,
    follower: Arc<Mutex<Follower>>,
    /// Dropping the sender ends the thread.
    thread: Mutex<Option<(mpsc::Sender<()>, JoinHandle<()>)>>,
}

impl FileLogReader {
    /// Opens the log in `folder` for reading, on the file system of the operating system. It blocks: all segments
    /// are read.
    ///
    /// # Errors
    /// [`Error::Io`] with [`std::io::ErrorKind::NotFound`] when no log is there; [`Error::Damaged`], also where a repair
    /// was not finished that has brought back deleted streams; [`Error::Unsupported`] for a later format.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_on(Arc::new(RealDisk), folder)
    }

    /// Opens the log in `folder` of `disk` for reading.
    ///
    /// # Errors
    /// Those of [`FileLogReader::open`].
    pub fn open_on(disk: Arc<dyn Disk>, folder: impl AsRef<Path>) -> Result<Self, Error> {
        let segments = Segments::new(disk, folder.as_ref().to_owned());
        check_gaps(&segments)?;
        let first = read_header(&segments, 1, None)?;
        if !DeleteAgain::load(&segments, first.identity)?.is_empty() {
            let problem =
                "it has brought back streams that were deleted: repair the log again, or open it for writing";
            return Err(damaged("a repair that was not finished".to_owned(), problem.to_owned()));
        }
        let state = State {
            index: index(),
            group: Group::default(),
            status: Status::Closed,
            failure: None,
            identity: first.identity,
            next: 1,
            tail: Offset::start_of(1),
            segment_bytes: first.size,
            segment_version: first.version,
            new_segment_bytes: first.size,
            progress: Arc::new(Progress::new(0, Offset::start_of(1), Offset::start_of(1))),
            queue_bytes_max: 0,
            placed: Vec::new(),
        };
        let shared = Arc::new(Shared::new(segments, state));
        let mut follower = Follower::new(Arc::clone(&shared), first);
        follower.catch_up()?;
        let follower = Arc::new(Mutex::new(follower));
        let (stop, stopped) = mpsc::channel();
        let (ours, theirs) = (Arc::clone(&follower), Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("log-follow".to_owned())
            .spawn(move || {
                let mut polls = 0;
                while let Err(mpsc::RecvTimeoutError::Timeout) = stopped.recv_timeout(POLL) {
                    polls += 1;
                    if polls % POLLS_PER_FILE == 0 {
                        theirs.segments.forget_all();
                    }
                    let caught_up = ours.lock().catch_up();
                    match caught_up {
                        Ok(()) => {}
                        // It may read the next time; whoever reads meanwhile is told.
                        Err(error @ Error::Io { .. }) => {
                            tracing::debug!(%error, "the log cannot be followed");
                        }
                        // From now on whoever reads is told.
                        Err(_) => break,
                    }
                }
                theirs.head.send_modify(|head| (head.ended, head.closed) = (true, true));
            })
            .map_err(opening)?;
        Ok(Self { shared, follower, thread: Mutex::new(Some((stop, thread))) })
    }

    fn stop(&self) {
        if let Some((stop, thread)) = self.thread.lock().take() {
            drop(stop);
            let _ = thread.join();
        }
    }
}

/// Reads what has been written by now, on a thread that may block.
async fn catch_up(shared: Arc<Shared>, follower: Arc<Mutex<Follower>>) -> Result<(), Error> {
    let caught_up = tokio::task::spawn_blocking(move || {
        if let Some(failure) = shared.state().failure.clone() {
            return Err(failure);
        }
        shared.check_open()?;
        follower.lock().catch_up()
    });
    caught_up.await.unwrap_or_else(|error| Err(read_error(error.into())))
}

impl EventStore for FileLogReader {
    /// Nothing can be appended here, at whatever durability.
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Durability::Accepted, true, 0)
    }

    fn append(
        &self,
        _batch: Batch,
        _condition: Condition,
        _durability: Durability,
    ) -> BoxFuture<'_, Result<Appended, Error>> {
        let what = "appending: the log is open for reading only".to_owned();
        Box::pin(async { Err(Error::Unsupported { what }) })
    }

    fn read(&self, query: Query) -> BoxStream<'_, Result<StoredEvent, Error>> {
        let shared = Arc::clone(&self.shared);
        let caught_up = catch_up(Arc::clone(&self.shared), Arc::clone(&self.follower));
        stream::once(async move { caught_up.await.map(|()| events(Reader::new(&shared, query))) })
            .try_flatten()
            .boxed()
    }

    fn subscribe(&self, filter: Filter, after: Position) -> BoxStream<'_, Result<StoredEvent, Error>> {
        let shared = Arc::clone(&self.shared);
        let failure = stream::once(async move { shared.state().failure.clone() });
        let failure = failure.filter_map(|failure| std::future::ready(failure.map(Err)));
        follow(&self.shared, filter, after).chain(failure).boxed()
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, Error>> {
        Box::pin(async {
            catch_up(Arc::clone(&self.shared), Arc::clone(&self.follower)).await?;
            Ok(Position::from_parts(self.shared.progress.readable(), 0))
        })
    }

    fn revision<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<Option<Revision>, Error>> {
        Box::pin(async move {
            catch_up(Arc::clone(&self.shared), Arc::clone(&self.follower)).await?;
            let state = self.shared.state();
            Ok(state.index.revision_until(stream, self.shared.progress.readable()).map(Revision))
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async {
            self.stop();
            Ok(())
        })
    }
}

impl Drop for FileLogReader {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Refuses a log of which a segment in the middle is missing.
fn check_gaps(segments: &Segments) -> Result<(), Error> {
    let files = segments.disk().list(segments.folder()).map_err(opening)?;
    let numbers: Vec<u32> = files.iter().filter_map(|file| segment::number(file)).collect();
    if numbers.is_empty() {
        return Err(opening(std::io::Error::new(std::io::ErrorKind::NotFound, "no log is in this folder")));
    }
    match (1..).zip(&numbers).find(|(due, number)| due != *number) {
        Some((due, _)) => Err(damaged(format!("segment {}", segment::name(due)), "it is missing".to_owned())),
        None => Ok(()),
    }
}
