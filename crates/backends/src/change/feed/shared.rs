use std::sync::Arc;

use parking_lot::Mutex;
use steadfast_core::Event;
use steadfast_core::transport::{Error, Link, LinkState, Received, Settlement, link};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{Handled, Position, ledger::Ledger};

/// What the one who reads the source and the receiver share.
#[derive(Debug)]
pub(crate) struct Feed<P> {
    state: Mutex<State<P>>,
    filled: Notify,
    drained: Notify,
    link: watch::Sender<Link>,
    closed: CancellationToken,
}

#[derive(Debug)]
struct State<P> {
    ledger: Ledger<P>,
    failed: Option<Error>,
}

impl<P: Position> Feed<P> {
    pub(crate) fn new(in_flight_max: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State { ledger: Ledger::new(in_flight_max), failed: None }),
            filled: Notify::new(),
            drained: Notify::new(),
            link: link().0,
            closed: CancellationToken::new(),
        })
    }

    /// Makes receiving fail if whoever reads the source panics while it holds what this returns: nobody would be told
    /// else.
    pub(crate) fn guard(self: &Arc<Self>) -> Guard<P> {
        Guard(Arc::clone(self))
    }

    /// Is cancelled once the receiver is closed or dropped.
    #[cfg(feature = "postgres")]
    pub(crate) fn closed(&self) -> &CancellationToken {
        &self.closed
    }

    pub(crate) fn room(&self) -> usize {
        self.state.lock().ledger.room()
    }

    /// Waits until events may be read.
    #[cfg(feature = "postgres")]
    pub(crate) async fn has_room(&self) -> usize {
        loop {
            let mut drained = std::pin::pin!(self.drained.notified());
            drained.as_mut().enable();
            match self.room() {
                0 => drained.await,
                room => return room,
            }
        }
    }

    pub(crate) fn push(&self, position: P, event: Event) {
        if self.state.lock().ledger.push(position, event) {
            self.filled.notify_waiters();
        }
    }

    /// Returns the positions that are handed out and not settled.
    #[cfg(feature = "postgres")]
    pub(crate) fn held(&self) -> Vec<P> {
        self.state.lock().ledger.held()
    }

    /// Takes a position that nobody need handle; returns up to where all are handled, if that has moved.
    pub(crate) fn pass(&self, position: P) -> Option<P> {
        self.state.lock().ledger.pass(position)
    }

    /// Says whether nothing is unsettled.
    #[cfg(feature = "postgres")]
    pub(crate) fn is_empty(&self) -> bool {
        self.state.lock().ledger.is_empty()
    }

    pub(crate) fn settle(&self, settlements: &[Settlement]) -> Handled<P> {
        let handled = self.state.lock().ledger.settle(settlements);
        // Released events wait to be handed out again, handled ones have made room.
        self.filled.notify_waiters();
        self.drained.notify_waiters();
        handled
    }

    /// Waits for events; none once it is closed.
    pub(crate) async fn take(&self, max: usize) -> Result<Vec<Received>, Error> {
        loop {
            let mut filled = std::pin::pin!(self.filled.notified());
            filled.as_mut().enable();
            if self.closed.is_cancelled() {
                return Ok(Vec::new());
            }
            {
                let mut state = self.state.lock();
                let taken = state.ledger.take(max.max(1));
                if !taken.is_empty() {
                    return Ok(taken);
                }
                if let Some(error) = &state.failed {
                    return Err(error.clone());
                }
            }
            tokio::select! {
                () = filled => {}
                () = self.closed.cancelled() => {}
            }
        }
    }

    /// Says that the source will never be read again: receiving fails with `error` from now on.
    pub(crate) fn fail(&self, error: Error) {
        tracing::error!(%error, "the source has failed");
        self.link.send_replace(Link::Down { attempts: 1, reason: error.to_string().into() });
        self.state.lock().failed = Some(error);
        self.filled.notify_waiters();
    }

    pub(crate) fn up(&self) {
        self.set_link(Link::Up);
    }

    /// Says that the connection is lost: what was not handed out will be read again.
    pub(crate) fn down(&self, attempts: u32, reason: &str) {
        self.state.lock().ledger.forget();
        self.drained.notify_waiters();
        self.set_link(Link::Down { attempts, reason: reason.into() });
    }

    fn set_link(&self, link: Link) {
        if !self.closed.is_cancelled() {
            self.link.send_replace(link);
        }
    }

    pub(crate) fn link(&self) -> LinkState {
        self.link.subscribe()
    }

    pub(crate) fn close(&self) {
        self.closed.cancel();
        self.link.send_replace(Link::Closed);
        self.filled.notify_waiters();
    }
}

/// Held by whoever reads the source; see [`Feed::guard`].
pub(crate) struct Guard<P: Position>(Arc<Feed<P>>);

impl<P: Position> Drop for Guard<P> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let reason = "reading has panicked, which is a bug: open another receiver".to_owned();
            self.0.fail(Error::Rejected { system: "the source", reason });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_that_panics_does_not_leave_the_receiver_waiting() {
        let feed = Feed::<u64>::new(1);
        let guard = feed.guard();
        let reader = std::thread::spawn(move || {
            let _guard = guard;
            panic!("in a test");
        });
        let error = feed.take(1).await.expect_err("it will never be read again");
        assert!(error.to_string().contains("panicked"), "{error}");
        reader.join().expect_err("it has panicked");
    }
}
