use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;
use steadfast_base::Deadline;
use tokio::sync::watch;

use super::broker::Hub;
use super::group::MemberId;
use super::source::unavailable;
use super::topic::{Down, Topic};
use crate::transport::{Error, Link, LinkState, Received, Receiver, Settlement, Subscribe};

pub(super) struct MemoryReceiver {
    topic: Arc<Topic>,
    group: Arc<str>,
    member: MemberId,
    link: Arc<watch::Sender<Link>>,
    closed: AtomicBool,
}

impl MemoryReceiver {
    pub(super) fn new(hub: &Hub, topic: Arc<Topic>, subscribe: &Subscribe) -> Result<Self, Down> {
        let member = topic.join(subscribe)?;
        let group = Arc::clone(&subscribe.group);
        Ok(Self { topic, group, member, link: hub.connect(), closed: AtomicBool::new(false) })
    }

    fn leave(&self) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            self.link.send_replace(Link::Closed);
            self.topic.leave(&self.group, self.member);
        }
    }
}

impl Receiver for MemoryReceiver {
    fn receive(&self, max: usize) -> BoxFuture<'_, Result<Vec<Received>, Error>> {
        Box::pin(async move {
            loop {
                let mut arrived = pin!(self.topic.arrived.notified());
                // Before looking, so that what arrives meanwhile is not missed.
                arrived.as_mut().enable();
                if self.closed.load(Ordering::Acquire) {
                    return Ok(Vec::new());
                }
                let events = self.topic.take(&self.group, self.member, max.max(1));
                if !events.is_empty() {
                    return Ok(events);
                }
                arrived.await;
            }
        })
    }

    fn settle<'a>(&'a self, settlements: &'a [Settlement]) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            if self.closed.load(Ordering::Acquire) {
                return Err(Error::Closed);
            }
            let settled = self.topic.settle(&self.group, self.member, settlements);
            settled.map_err(|Down| unavailable())
        })
    }

    fn link(&self) -> LinkState {
        self.link.subscribe()
    }

    fn close(&self, _deadline: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            self.leave();
            Ok(())
        })
    }
}

impl Drop for MemoryReceiver {
    fn drop(&mut self) {
        self.leave();
    }
}
