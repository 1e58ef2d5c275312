use std::path::PathBuf;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;
use steadfast_core::store::Error;

use super::schema;

/// Connections that read.
pub(super) struct Readers {
    path: PathBuf,
    busy_timeout: Duration,
    idle_max: usize,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf, busy_timeout: Duration, idle_max: usize) -> Self {
        Self { path, busy_timeout, idle_max, idle: Mutex::default() }
    }

    /// Does `work` with a connection that nobody else uses meanwhile. It blocks.
    pub(super) fn with<R>(&self, work: impl FnOnce(&Connection) -> Result<R, Error>) -> Result<R, Error> {
        let idle = self.idle.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => schema::open_reader(&self.path, self.busy_timeout)?,
        };
        let result = work(&connection)?;
        // One that has failed is not used again.
        let mut idle = self.idle.lock();
        if idle.len() < self.idle_max {
            idle.push(connection);
        }
        Ok(result)
    }

    pub(super) fn close(&self) {
        self.idle.lock().clear();
    }
}
