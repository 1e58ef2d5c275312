//! The log on a file system that loses power, behind a real kernel.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use steadfast_backends::file::{Config, FileLog};
use steadfast_base::disk::{Disk, DiskFile, DiskLock, OpenMode, RealDisk};
use steadfast_base::units::Size;
use steadfast_core::store::{Durability, EventStore};
use steadfast_servers::power::PowerCutFs;

use crate::power::{self, Place};

struct Log<D> {
    disk: D,
    segment_size: Size,
    /// What is done to the disk once the log is open.
    opened: fn(&D),
}

impl<D: Disk + Clone> Place for Log<D> {
    fn open<'a>(&'a mut self, fs: &'a PowerCutFs) -> BoxFuture<'a, Arc<dyn EventStore>> {
        async {
            let config = Config { segment_size: self.segment_size, ..Config::default() };
            let log = FileLog::open_on(Arc::new(self.disk.clone()), fs.path().join("log"), config);
            let log = log.expect("what is left can be opened");
            (self.opened)(&self.disk);
            Arc::new(log) as Arc<dyn EventStore>
        }
        .boxed()
    }
}

#[test]
fn what_was_acknowledged_survives_the_loss_of_power() {
    // Small segments, so that cuts meet their ends.
    let place = Log { disk: RealDisk, segment_size: Size::from_bytes(64 << 10), opened: |_| () };
    power::survives(place, power::rounds(20));
}

#[test]
fn a_log_whose_sync_is_taken_out_is_caught() {
    // It begins when the log has been made, and one segment is enough: so it is events that are lost, and not the log.
    let opened = |disk: &Unsynced| disk.0.store(true, Ordering::Relaxed);
    let place = Log { disk: Unsynced::default(), segment_size: Size::from_mebibytes(4), opened };
    power::is_caught(place, Durability::Durable);
}

/// The real disk, without `fdatasync` once it is told so.
#[derive(Debug, Clone, Default)]
struct Unsynced(Arc<AtomicBool>);

#[derive(Debug)]
struct UnsyncedFile(Box<dyn DiskFile>, Arc<AtomicBool>);

impl Disk for Unsynced {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_dir_all(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(UnsyncedFile(RealDisk.open(path, mode)?, Arc::clone(&self.0))))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        RealDisk.sync_dir(folder)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        RealDisk.lock(path)
    }
}

impl DiskFile for UnsyncedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.1.load(Ordering::Relaxed) { Ok(()) } else { self.0.sync_data() }
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.0.allocate(length)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.0.set_length(length)
    }

    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }
}
