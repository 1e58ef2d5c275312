//! A process that appends to a log is killed at random moments.

use std::path::Path;
use std::sync::Arc;

use steadfast_backends::file::{Config, FileLog};
use steadfast_base::units::Size;
use steadfast_core::store::EventStore;

use crate::killed;

fn open(folder: &Path) -> Arc<dyn EventStore> {
    // Small segments, so that kills meet their ends.
    let config = Config { segment_size: Size::from_bytes(64 << 10), ..Config::default() };
    Arc::new(FileLog::open(folder, config).expect("the lock went with the process"))
}

/// The process that is killed; a test that does nothing unless it is started by the one below.
#[test]
fn child_appends_until_it_is_killed() {
    killed::append_until_killed(open);
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let rounds = if std::env::var_os("STEADFAST_FULL").is_some() { 5_000 } else { 200 };
    killed::survives("kill::child_appends_until_it_is_killed", open, rounds);
}
