//! A disk that holds the writer of a log before its next operation, so that a test knows which batches share a commit.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use steadfast_base::disk::OpenMode;

use crate::through::Way;

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

/// It is open for whoever only reads.
impl Way for Gate {
    type Known = ();

    fn opens(&self, _path: &Path, _mode: OpenMode) {}

    fn before_change(&self) {
        self.pass();
    }
}
