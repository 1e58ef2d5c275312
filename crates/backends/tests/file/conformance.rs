//! The suite that every store passes, and proof that it notices a log which does not sync.

use std::sync::Arc;

use futures::future::BoxFuture;
use steadfast_backends::file::{Config, FileLog};
use steadfast_base::disk::{self, RealDisk, SimDisk};
use steadfast_base::units::Size;
use steadfast_core::store::EventStore;
use steadfast_core::testing::store::{self as suite, Crash, StoreFactory};

use crate::boastful::Boastful;
use crate::support::{FOLDER, sim};

fn config() -> Config {
    // Large enough for the largest batch of the suite.
    Config { segment_size: Size::from_bytes(512 << 10), ..Config::default() }
}

/// Opens logs on a real disk, where no crash can be had within one process.
struct OnRealDisk {
    folder: tempfile::TempDir,
}

impl OnRealDisk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn store(&self) -> Arc<dyn EventStore> {
        Arc::new(FileLog::open_on(Arc::new(RealDisk), self.folder.path(), config()).expect("opened"))
    }
}

impl StoreFactory for OnRealDisk {
    fn open(&mut self) -> BoxFuture<'_, Arc<dyn EventStore>> {
        Box::pin(async { self.store() })
    }

    fn reopen(&mut self) -> Option<BoxFuture<'_, Arc<dyn EventStore>>> {
        Some(self.open())
    }
}

/// Opens logs on a disk that can lose power.
struct OnSimDisk {
    disk: SimDisk,
    power: disk::Crash,
    /// Wraps the log before the suite sees it.
    wrap: fn(FileLog) -> Arc<dyn EventStore>,
}

impl OnSimDisk {
    fn new(power: disk::Crash) -> Self {
        Self { disk: sim(1), power, wrap: |log| Arc::new(log) }
    }

    fn store(&self) -> Arc<dyn EventStore> {
        (self.wrap)(FileLog::open_on(Arc::new(self.disk.process()), FOLDER, config()).expect("opened"))
    }
}

impl StoreFactory for OnSimDisk {
    fn open(&mut self) -> BoxFuture<'_, Arc<dyn EventStore>> {
        Box::pin(async { self.store() })
    }

    fn reopen(&mut self) -> Option<BoxFuture<'_, Arc<dyn EventStore>>> {
        Some(self.open())
    }

    fn crash(&mut self, crash: Crash) -> Option<BoxFuture<'_, Arc<dyn EventStore>>> {
        self.disk.crash(match crash {
            Crash::Process => disk::Crash::ProcessOnly,
            Crash::Power => self.power,
        });
        Some(self.open())
    }
}

mod on_a_real_disk {
    steadfast_core::store_conformance!(super::OnRealDisk::new());
    steadfast_core::store_users_conformance!(super::OnRealDisk::new());
}

mod on_a_disk_that_tears {
    steadfast_core::store_conformance!(super::OnSimDisk::new(steadfast_base::disk::Crash::Torn));
    steadfast_core::store_users_conformance!(super::OnSimDisk::new(steadfast_base::disk::Crash::Torn));
}

mod on_a_disk_that_drops {
    steadfast_core::store_conformance!(super::OnSimDisk::new(steadfast_base::disk::Crash::Dropped));
}

/// Says what the suite says of the loss of power.
fn loss_of_power(mut factory: OnSimDisk) -> Result<(), String> {
    suite::run(suite::durable_batches_survive_the_loss_of_power(&mut factory))
}

#[test]
fn a_log_whose_sync_is_taken_out_is_caught() {
    let factory = OnSimDisk { wrap: |log| Arc::new(log), ..OnSimDisk::new(disk::Crash::Dropped) };
    // Its first segment is made honestly, so that it is the events that are lost and not the log.
    drop(factory.store());
    factory.disk.lie_about_sync(true);
    let problem = loss_of_power(factory).expect_err("the suite must notice");
    assert!(problem.contains("is lost"), "{problem}");
}

#[test]
fn a_log_that_answers_before_syncing_is_caught() {
    let factory =
        OnSimDisk { wrap: |log| Arc::new(Boastful(Arc::new(log))), ..OnSimDisk::new(disk::Crash::Dropped) };
    let problem = loss_of_power(factory).expect_err("the suite must notice");
    assert!(problem.contains("is lost"), "{problem}");
}
