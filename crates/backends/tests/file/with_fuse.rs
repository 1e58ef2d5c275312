//! The log on a file system that loses power, behind a real kernel.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use steadfast_backends::file::{Config, FileLog};
use steadfast_base::disk::{Disk, DiskFile, OpenMode, RealDisk};
use steadfast_base::units::Size;
use steadfast_core::store::{Durability, EventStore};
use steadfast_servers::power::PowerCutFs;

use crate::power::{self, Place};
use crate::through::{Through, Way};

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
    let opened = |disk: &Through<Unsynced>| disk.way.0.store(true, Ordering::Relaxed);
    let disk = Through::new(Unsynced::default(), Arc::new(RealDisk));
    let place = Log { disk, segment_size: Size::from_mebibytes(4), opened };
    power::is_caught(place, Durability::Durable);
}

/// There is no `fdatasync` once it is told so.
#[derive(Debug, Default)]
struct Unsynced(AtomicBool);

impl Way for Unsynced {
    type Known = ();

    fn opens(&self, _path: &Path, _mode: OpenMode) {}

    fn sync(&self, file: &dyn DiskFile) -> io::Result<()> {
        if self.0.load(Ordering::Relaxed) { Ok(()) } else { file.sync_data() }
    }
}
