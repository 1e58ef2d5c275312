use std::sync::Arc;

use futures::future::BoxFuture;
use steadfast_base::Deadline;
use steadfast_core::transport::{Error, LinkState, Received, Receiver, Settlement};

use super::source::Timer;

/// A receiver of ticks, which keeps the timer going.
pub(super) struct TimerReceiver {
    pub(super) receiver: Box<dyn Receiver>,
    pub(super) _timer: Arc<Timer>,
}

impl Receiver for TimerReceiver {
    fn receive(&self, max: usize) -> BoxFuture<'_, Result<Vec<Received>, Error>> {
        self.receiver.receive(max)
    }

    fn settle<'a>(&'a self, settlements: &'a [Settlement]) -> BoxFuture<'a, Result<(), Error>> {
        self.receiver.settle(settlements)
    }

    fn link(&self) -> LinkState {
        self.receiver.link()
    }

    fn close(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        self.receiver.close(deadline)
    }
}
