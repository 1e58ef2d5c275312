//! Segments made ahead of their use.

use std::io;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use steadfast_base::disk::DiskFile;
use steadfast_core::store::{Error, Outcome};

use super::format::VERSION;
use super::format::segment::Header;
use super::log::FileLog;
use super::shared::{Shared, read_error};

type Prepared = io::Result<Box<dyn DiskFile>>;

/// Makes segments, on a thread of its own if asked to.
#[derive(Debug)]
pub(super) struct Preparer {
    shared: Arc<Shared>,
    /// What segments to come look like.
    header: Header,
    thread: Option<Thread>,
    /// The segment that the thread has been asked for and not been taken from.
    asked: Option<u32>,
}

#[derive(Debug)]
struct Thread {
    orders: mpsc::SyncSender<u32>,
    prepared: mpsc::Receiver<Prepared>,
    handle: JoinHandle<()>,
}

impl Preparer {
    /// Makes a preparer of segments like `header`.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn new(shared: Arc<Shared>, header: Header, ahead: bool) -> io::Result<Self> {
        let thread = ahead.then(|| Thread::start(Arc::clone(&shared), header)).transpose()?;
        Ok(Self { shared, header, thread, asked: None })
    }

    /// Has the next segment made when `segment` is filled to `byte`, if that is more than half.
    pub(super) fn foresee(&mut self, segment: u32, byte: u32) {
        if self.asked.is_none()
            && u64::from(byte) > self.header.size / 2
            && let Some(thread) = &self.thread
            && thread.orders.try_send(segment + 1).is_ok()
        {
            self.asked = Some(segment + 1);
        }
    }

    /// Returns segment `number`, ready to be written to.
    pub(super) fn take(&mut self, number: u32) -> Prepared {
        if self.asked.take() == Some(number)
            && let Some(thread) = &self.thread
            && let Ok(Ok(prepared)) = thread.prepared.recv()
        {
            return Ok(prepared);
        }
        // What has failed ahead of time may not fail any more.
        self.make(number)
    }

    /// Makes segment `number`, now, unless it has been prepared.
    pub(super) fn make(&self, number: u32) -> Prepared {
        make(&self.shared, Header { number, ..self.header })
    }

    /// Ends the thread and waits for it.
    pub(super) fn join(self) {
        if let Some(Thread { orders, prepared, handle }) = self.thread {
            drop((orders, prepared));
            let _ = handle.join();
        }
    }
}

impl Thread {
    fn start(shared: Arc<Shared>, header: Header) -> io::Result<Self> {
        let (orders, ordered) = mpsc::sync_channel(1);
        let (send, prepared) = mpsc::sync_channel(1);
        let handle = std::thread::Builder::new().name("log-prepare".to_owned()).spawn(move || {
            for number in ordered {
                if send.send(make(&shared, Header { number, ..header })).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { orders, prepared, handle })
    }
}

/// Opens the segment if it has been prepared, or makes it.
pub(super) fn make(shared: &Shared, header: Header) -> Prepared {
    let (number, segments) = (header.number, &shared.segments);
    let mut unsure = shared.making.lock();
    if *unsure == Some(number) {
        // It may have its name in the cache alone, and a folder whose sync has failed once counts as synced.
        match segments.remove(number) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    } else if let Some(file) = segments.writer(number)? {
        return Ok(file);
    }
    *unsure = Some(number);
    let file = segments.prepare(&header)?;
    *unsure = None;
    Ok(file)
}

impl FileLog {
    /// Makes segment `number`, the next one, for what is going to begin it: a disk without room for it refuses that alone
    /// then, and not whatever is written with it.
    pub(super) async fn make_ahead(&self, number: u32) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        let making = tokio::task::spawn_blocking(move || {
            // Held so that the log is not given back before.
            let _rewriting = shared.rewriting.lock();
            shared.check_open()?;
            let (identity, size) = {
                let state = shared.state();
                (state.identity, state.new_segment_bytes)
            };
            make(&shared, Header { version: VERSION, number, size, identity }).map(drop).map_err(preparing)
        });
        making.await.unwrap_or_else(|error| Err(read_error(error.into())))
    }
}

/// The error for a segment that could not be made.
pub(super) fn preparing(error: io::Error) -> Error {
    Error::io("preparing the next segment of the log", error, Outcome::NotAppended)
}
