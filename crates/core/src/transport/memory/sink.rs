use std::pin::pin;
use std::sync::Arc;

use futures::future::BoxFuture;
use steadfast_base::Deadline;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::broker::{Hub, SYSTEM};
use super::source::{capabilities, unavailable};
use super::topic::Topic;
use crate::Event;
use crate::store::Durability;
use crate::transport::{Capabilities, Error, Link, LinkState, Sink};

pub(super) struct MemorySink {
    topic: Arc<Topic>,
    capabilities: Capabilities,
    link: Arc<watch::Sender<Link>>,
    usage: watch::Sender<Usage>,
    /// Ends those who are still sending when closing has taken too long.
    aborted: CancellationToken,
}

#[derive(Debug, Clone, Copy, Default)]
struct Usage {
    sending: usize,
    closed: bool,
}

/// Counts one who sends, until it is dropped.
struct Sending<'a>(&'a watch::Sender<Usage>);

impl MemorySink {
    pub(super) fn new(hub: &Hub, topic: Arc<Topic>) -> Self {
        Self {
            topic,
            capabilities: capabilities(hub),
            link: hub.connect(),
            usage: watch::Sender::default(),
            aborted: CancellationToken::new(),
        }
    }

    fn begin(&self) -> Result<Sending<'_>, Error> {
        let begun = self.usage.send_if_modified(|usage| {
            usage.sending += usize::from(!usage.closed);
            !usage.closed
        });
        if begun { Ok(Sending(&self.usage)) } else { Err(Error::Closed) }
    }

    /// Sends all, and counts in `sent` how many went.
    async fn send_all(&self, mut events: &[Event], sent: &mut usize) {
        while !events.is_empty() {
            let mut room = pin!(self.topic.room.notified());
            // Before looking, so that room that is made meanwhile is not missed.
            room.as_mut().enable();
            let taken = self.topic.push(events).unwrap_or(0);
            *sent += taken;
            events = &events[taken..];
            if !events.is_empty() {
                room.await;
            }
        }
    }
}

impl Sink for MemorySink {
    fn system(&self) -> &'static str {
        SYSTEM
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn send<'a>(
        &'a self,
        events: &'a [Event],
        durability: Durability,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Durability, Error>> {
        Box::pin(async move {
            if durability > self.capabilities.durability_max {
                let what = format!("durability `{durability}`");
                return Err(Error::Unsupported { system: SYSTEM, what });
            }
            let _sending = self.begin()?;
            let mut sent = 0;
            tokio::select! {
                biased;
                () = self.send_all(events, &mut sent) => return Ok(self.capabilities.durability_max),
                () = self.aborted.cancelled() => return Err(Error::Closed),
                () = tokio::time::sleep_until(deadline.instant()) => {}
            }
            match sent {
                _ if self.topic.is_down() => Err(unavailable()),
                0 => Err(Error::Overloaded { system: SYSTEM, retry_after: None }),
                _ => Err(Error::DeadlineExceeded { system: SYSTEM }),
            }
        })
    }

    fn link(&self) -> LinkState {
        self.link.subscribe()
    }

    fn close(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            self.usage.send_modify(|usage| usage.closed = true);
            let mut usage = self.usage.subscribe();
            let idle = usage.wait_for(|usage| usage.sending == 0);
            let finished = tokio::time::timeout_at(deadline.instant(), idle).await.is_ok();
            self.aborted.cancel();
            self.link.send_replace(Link::Closed);
            if finished { Ok(()) } else { Err(Error::DeadlineExceeded { system: SYSTEM }) }
        })
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|usage| usage.sending -= 1);
    }
}
