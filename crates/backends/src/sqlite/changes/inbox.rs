use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use steadfast_core::transport::Error;
use tokio::sync::oneshot;

/// What the thread that reads is asked to do.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    asked: Mutex<Asked>,
    changed: Condvar,
}

/// One who waits until the group's position is noted.
pub(super) type Waiter = oneshot::Sender<Result<(), Error>>;

#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Up to where to note that all is handled.
    pub(super) position: Option<i64>,
    /// Who waits for that; as many as settle at the same time.
    pub(super) waiters: Vec<Waiter>,
    /// A connection of this process is changing something.
    pub(super) hurry: bool,
    /// Something was settled, so that there may be room.
    pub(super) settled: bool,
    pub(super) close: bool,
    /// The thread has ended: nothing asked is done any more.
    ended: bool,
}

impl Asked {
    fn is_empty(&self) -> bool {
        !(self.position.is_some() || !self.waiters.is_empty() || self.hurry || self.settled || self.close)
    }
}

impl Inbox {
    pub(super) fn ask(&self, change: impl FnOnce(&mut Asked)) {
        change(&mut self.asked.lock());
        self.changed.notify_all();
    }

    /// Asks to note that all up to `position` is handled.
    pub(super) fn confirm(&self, position: i64) -> oneshot::Receiver<Result<(), Error>> {
        let (waiter, told) = oneshot::channel();
        self.ask(|asked| {
            if asked.ended {
                // The waiter is dropped, by which it hears.
                return;
            }
            asked.position = asked.position.max(Some(position));
            asked.waiters.push(waiter);
        });
        told
    }

    /// Waits until something is asked, at most for `within`, and takes it. `close` stays asked.
    pub(super) fn wait(&self, within: Duration) -> Asked {
        let until = Instant::now() + within;
        let mut asked = self.asked.lock();
        while asked.is_empty() {
            if self.changed.wait_until(&mut asked, until).timed_out() {
                break;
            }
        }
        let (close, ended) = (asked.close, asked.ended);
        let taken = std::mem::take(&mut *asked);
        asked.close = close;
        asked.ended = ended;
        taken
    }

    /// Says that the thread ends; whoever still waits is told so.
    pub(super) fn end(&self) {
        let mut asked = self.asked.lock();
        asked.ended = true;
        asked.waiters.clear();
    }
}
