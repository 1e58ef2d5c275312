use std::io;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use steadfast_base::disk::{Disk, OpenMode};
use steadfast_core::store::Error;

use super::encode::encode;
use super::file::{PartFile, path};
use super::snapshot::Snapshot;
use crate::file::format::frame;
use crate::file::shared::{Shared, read_error};

/// The snapshot of the streams is made anew after so many parts, or when the parts since tell of half as many streams as
/// it holds, and of no fewer than this.
const PARTS_MAX: u32 = 16;
const STREAMS_MIN: u64 = 4096;
/// How many parts may wait to be put on the disk; more are left in memory.
const WAITING_MAX: usize = 1024;

/// Puts finished parts of the index on the disk, on a thread of its own if asked to. That something fails costs memory,
/// and time when the log is opened, and nothing else.
#[derive(Debug)]
pub(in crate::file) enum Sealer {
    Here(Box<Work>),
    Thread(mpsc::SyncSender<u32>, JoinHandle<()>),
}

#[derive(Debug)]
pub(in crate::file) struct Work {
    shared: Arc<Shared>,
    identity: u64,
    sealed: Sealed,
}

/// What of the index is on the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::file) struct Sealed {
    /// The first parts, up to the one of this number, are.
    pub(in crate::file) number: u32,
    /// The last of them that the snapshot covers, and how many streams it holds.
    pub(in crate::file) covered: u32,
    pub(in crate::file) streams: u64,
    /// How many streams the parts since tell of.
    pub(in crate::file) since: u64,
}

impl Sealer {
    /// Makes a sealer of a log of which as much is on the disk as `sealed` says. The parts that are finished and in
    /// memory are put there too.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(in crate::file) fn new(
        shared: Arc<Shared>,
        identity: u64,
        sealed: Sealed,
        thread: bool,
    ) -> io::Result<Self> {
        let unsealed = shared.state().index.parts.unsealed();
        let mut work = Work { shared, identity, sealed };
        let mut sealer = if thread {
            let (orders, ordered) = mpsc::sync_channel(WAITING_MAX);
            let name = "log-index".to_owned();
            let handle = std::thread::Builder::new()
                .name(name)
                .spawn(move || ordered.into_iter().for_each(|number| work.seal(number)))?;
            Self::Thread(orders, handle)
        } else {
            Self::Here(Box::new(work))
        };
        unsealed.into_iter().for_each(|number| sealer.seal(number));
        Ok(sealer)
    }

    /// Has the part of segment `number`, all of which is durable, put on the disk.
    pub(in crate::file) fn seal(&mut self, number: u32) {
        match self {
            Self::Here(work) => work.seal(number),
            Self::Thread(orders, _) => {
                let _ = orders.try_send(number);
            }
        }
    }

    /// Finishes what was asked for, ends the thread and waits for it.
    pub(in crate::file) fn join(self) {
        if let Self::Thread(orders, handle) = self {
            drop(orders);
            let _ = handle.join();
        }
    }
}

impl Work {
    fn seal(&mut self, number: u32) {
        let sealed = self.try_seal(number).and_then(|file| {
            let sealed = &mut self.sealed;
            if number == sealed.number + 1 {
                sealed.number = number;
                sealed.since += file.counts().1;
            }
            let many = sealed.since >= (sealed.streams / 2).max(STREAMS_MIN);
            if many || sealed.number - sealed.covered >= PARTS_MAX { self.snapshot() } else { Ok(()) }
        });
        if let Err(error) = sealed {
            tracing::warn!(segment = number, %error, "the index of a segment could not be put on the disk");
        }
    }

    fn try_seal(&self, number: u32) -> Result<Arc<PartFile>, Error> {
        let _rewriting = self.shared.rewriting.lock();
        let segments = &self.shared.segments;
        let part = self.shared.state().index.parts.in_memory(number);
        let part = part.ok_or_else(|| read_error(io::ErrorKind::NotFound.into()))?;
        let mut header = [0; frame::HEADER];
        segments
            .reader(number)
            .and_then(|file| file.read_at(&mut header, part.last_frame.into()))
            .map_err(read_error)?;
        let bytes = encode(&part, self.identity, frame::checksum_of(&header).unwrap_or_default());
        drop(part);
        let path = path(segments.folder(), number);
        remove(segments.disk(), &path)
            .and_then(|()| segments.disk().open(&path, OpenMode::CreateNew))
            .and_then(|file| file.write_all_at(&bytes, 0))
            .map_err(read_error)?;
        drop(bytes);
        let file = PartFile::open(segments, number, self.identity).map_err(read_error)?;
        let file = Arc::new(file.ok_or_else(|| read_error(io::ErrorKind::InvalidData.into()))?);
        self.shared.state().index.parts.replace(Arc::clone(&file));
        Ok(file)
    }

    /// Makes the snapshot anew, of all that is on the disk.
    fn snapshot(&mut self) -> Result<(), Error> {
        let _rewriting = self.shared.rewriting.lock();
        let segments = &self.shared.segments;
        let before = Snapshot::load(segments, self.identity)?;
        let mut snapshot = before
            .filter(|snapshot| snapshot.number() == self.sealed.covered)
            .unwrap_or_else(|| Snapshot::empty(self.identity));
        for number in snapshot.number() + 1..=self.sealed.number {
            let part = PartFile::open(segments, number, self.identity).map_err(read_error)?;
            let part = part.ok_or_else(|| read_error(io::ErrorKind::InvalidData.into()))?;
            snapshot = snapshot.with(&part, segments)?;
        }
        snapshot.store(segments).map_err(read_error)?;
        let number = self.sealed.number;
        self.sealed = Sealed { number, covered: number, streams: snapshot.count(), since: 0 };
        Ok(())
    }
}

/// Removes a file, if it is there.
pub(super) fn remove(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
