//! A disk that holds the writer of a log before its next operation, so that a test knows which batches share a commit.

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use steadfast_base::disk::{Disk, DiskFile, DiskLock, OpenMode};

/// No writer takes longer to get to work.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Default)]
pub(super) struct Gate(Arc<(Mutex<Doors>, Condvar)>);

#[derive(Debug, Default)]
struct Doors {
    closed: bool,
    somebody_waits: bool,
}

impl Gate {
    pub(super) fn close(&self) {
        self.doors().closed = true;
    }

    pub(super) fn open(&self) {
        *self.doors() = Doors::default();
        self.0.1.notify_all();
    }

    /// Waits until an operation waits.
    pub(super) fn await_somebody(&self) {
        let nobody = |doors: &mut Doors| !doors.somebody_waits;
        let waited = self.0.1.wait_timeout_while(self.doors(), PATIENCE, nobody);
        let timeout = waited.unwrap_or_else(PoisonError::into_inner).1;
        assert!(!timeout.timed_out(), "the writer never came");
    }

    fn pass(&self) {
        let mut doors = self.doors();
        while doors.closed {
            doors.somebody_waits = true;
            self.0.1.notify_all();
            doors = self.0.1.wait(doors).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn doors(&self) -> MutexGuard<'_, Doors> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A disk behind a gate, which is open for whoever only reads.
#[derive(Debug)]
pub(super) struct Gated {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) gate: Gate,
}

impl Disk for Gated {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.gate.pass();
        self.disk.create_dir_all(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        if mode != OpenMode::Read {
            self.gate.pass();
        }
        Ok(Box::new(GatedFile { file: self.disk.open(path, mode)?, gate: self.gate.clone() }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.disk.list(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.gate.pass();
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.gate.pass();
        self.disk.remove(path)
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        self.gate.pass();
        self.disk.sync_dir(folder)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        self.disk.lock(path)
    }
}

#[derive(Debug)]
struct GatedFile {
    file: Box<dyn DiskFile>,
    gate: Gate,
}

impl DiskFile for GatedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.gate.pass();
        self.file.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.gate.pass();
        self.file.sync_data()
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.gate.pass();
        self.file.allocate(length)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.gate.pass();
        self.file.set_length(length)
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }
}
