use std::sync::Arc;

use futures::future::BoxFuture;

use super::broker::{Hub, SYSTEM};
use super::receiver::MemoryReceiver;
use super::topic::{Down, Topic};
use crate::store::Durability;
use crate::transport::{Capabilities, Error, Ordering, Receiver, Source, Subscribe};

pub(super) struct MemorySource {
    hub: Arc<Hub>,
    topic: Arc<Topic>,
}

impl MemorySource {
    pub(super) fn new(hub: Arc<Hub>, topic: Arc<Topic>) -> Self {
        Self { hub, topic }
    }
}

impl Source for MemorySource {
    fn system(&self) -> &'static str {
        SYSTEM
    }

    fn destination(&self) -> &str {
        &self.topic.name
    }

    fn capabilities(&self) -> Capabilities {
        capabilities(&self.hub)
    }

    fn open<'a>(&'a self, subscribe: &'a Subscribe) -> BoxFuture<'a, Result<Box<dyn Receiver>, Error>> {
        Box::pin(async move {
            let receiver = MemoryReceiver::new(&self.hub, Arc::clone(&self.topic), subscribe)
                .map_err(|Down| unavailable())?;
            Ok(Box::new(receiver) as Box<dyn Receiver>)
        })
    }
}

pub(super) fn capabilities(hub: &Hub) -> Capabilities {
    let capabilities = Capabilities::new(Ordering::PerKey, Durability::Accepted).groups().seek().resumes();
    if hub.config.deduplicated_events > 0 { capabilities.deduplicates() } else { capabilities }
}

pub(super) fn unavailable() -> Error {
    Error::Unavailable { system: SYSTEM, reason: "the connection was cut".to_owned() }
}
