//! SQLite as an event store.

mod basics;
mod conformance;
#[cfg(target_os = "linux")]
mod full;
mod kill;
#[cfg(target_os = "linux")]
mod with_fuse;

use std::path::Path;
use std::sync::Arc;

use steadfast_backends::sqlite::store::{Config, SqliteStore};
use steadfast_core::store::{Error, EventStore};

/// Opens the store in `folder`; it blocks.
fn try_open(folder: &Path) -> Result<SqliteStore, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(SqliteStore::open(Config::at(folder.join("events.db"))))
}

fn open(folder: &Path) -> Arc<dyn EventStore> {
    let folder = folder.to_owned();
    // On a thread of its own, for the suite calls this from within a runtime.
    let opening = std::thread::spawn(move || try_open(&folder));
    Arc::new(opening.join().expect("no panic").expect("opened"))
}
