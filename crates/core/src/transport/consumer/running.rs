use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::inlet::ReceiverInlet;
use crate::Event;
use crate::delivery::Dispatcher;

/// The dispatchers of the runs under way.
#[derive(Default)]
pub(super) struct Runs(Mutex<Vec<Run>>);

#[derive(Clone)]
pub(super) struct Run {
    pub(super) dispatcher: Dispatcher<Event, ReceiverInlet>,
    pub(super) ended: CancellationToken,
}

/// Takes its run off the list when it is dropped.
pub(super) struct Running<'a> {
    runs: &'a Runs,
    ended: CancellationToken,
}

impl Runs {
    pub(super) fn begin(&self, dispatcher: Dispatcher<Event, ReceiverInlet>) -> Running<'_> {
        let ended = CancellationToken::new();
        self.0.lock().push(Run { dispatcher, ended: ended.clone() });
        Running { runs: self, ended }
    }

    pub(super) fn all(&self) -> Vec<Run> {
        self.0.lock().clone()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.ended.cancel();
        // Dropped after the lock is given back, for that tells the inlet what is released.
        let ended: Vec<Run> = self.runs.0.lock().extract_if(.., |run| run.ended.is_cancelled()).collect();
        drop(ended);
    }
}
