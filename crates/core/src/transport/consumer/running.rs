use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::inlet::ReceiverInlet;
use crate::Event;
use crate::delivery::Dispatcher;

/// The dispatchers of the runs under way.
#[derive(Default)]
pub(super) struct Runs {
    /// In the order in which they began.
    under_way: Mutex<Vec<Run>>,
    /// The turn to replay: two runs must not have the same letter.
    pub(super) replaying: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
pub(super) struct Run {
    /// A later one has a greater one.
    pub(super) number: u64,
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
        let mut under_way = self.under_way.lock();
        let number = under_way.last().map_or(1, |last| last.number + 1);
        under_way.push(Run { number, dispatcher, ended: ended.clone() });
        Running { runs: self, ended }
    }

    pub(super) fn all(&self) -> Vec<Run> {
        self.under_way.lock().clone()
    }

    /// Returns the first run that began after `number`. Whoever holds one holds back what it releases at its end.
    pub(super) fn after(&self, number: u64) -> Option<Run> {
        self.under_way.lock().iter().find(|run| run.number > number).cloned()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.ended.cancel();
        // Dropped after the lock is given back, for that tells the inlet what is released.
        let ended: Vec<Run> =
            self.runs.under_way.lock().extract_if(.., |run| run.ended.is_cancelled()).collect();
        drop(ended);
    }
}
