use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use steadfast_base::Deadline;
use steadfast_core::transport::{Error, LinkState, Received, Receiver, Settlement};

use super::{Feed, Handled, Position};

/// What a source does besides reading. Dropping it ends what runs in the background.
pub(crate) trait Driver: Send + Sync + 'static {
    /// Where an event stands.
    type Position: Position;

    /// Tells the source what is handled, and returns once it has been told.
    fn confirm(&self, handled: Handled<Self::Position>) -> BoxFuture<'_, Result<(), Error>>;

    /// Ends what runs in the background, which has been told by [`Feed::closed`], and waits for it.
    fn close(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), Error>>;
}

/// A receiver of a [`Feed`].
pub(crate) struct FeedReceiver<D: Driver> {
    feed: Arc<Feed<D::Position>>,
    driver: D,
}

impl<D: Driver> FeedReceiver<D> {
    pub(crate) fn new(feed: Arc<Feed<D::Position>>, driver: D) -> Self {
        Self { feed, driver }
    }
}

impl<D: Driver> Receiver for FeedReceiver<D> {
    fn receive(&self, max: usize) -> BoxFuture<'_, Result<Vec<Received>, Error>> {
        self.feed.take(max).boxed()
    }

    fn settle<'a>(&'a self, settlements: &'a [Settlement]) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            let handled = self.feed.settle(settlements);
            if handled.positions.is_empty() && handled.reached.is_none() {
                return Ok(());
            }
            self.driver.confirm(handled).await
        }
        .boxed()
    }

    fn link(&self) -> LinkState {
        self.feed.link()
    }

    fn close(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            self.feed.close();
            self.driver.close(deadline).await
        }
        .boxed()
    }
}

impl<D: Driver> Drop for FeedReceiver<D> {
    fn drop(&mut self) {
        self.feed.close();
    }
}
