use futures::future::BoxFuture;
use steadfast_base::Deadline;
use steadfast_core::Event;
use steadfast_core::bus::{self, Topic};
use steadfast_core::delivery::Message;
use steadfast_core::store::Durability;
use steadfast_core::transport::{Capabilities, Error, Link, LinkState, Ordering, Sink, link};
use tokio::sync::watch;

/// The name in errors.
const SYSTEM: &str = "bus";

/// Publishes events to a topic of the bus. They are [`Durability::Accepted`], if anybody has subscribed.
#[derive(Debug)]
pub struct TopicSink {
    topic: Topic<Event>,
    link: watch::Sender<Link>,
}

impl TopicSink {
    /// Publishes to `topic`. Closing the sink leaves the bus open.
    pub fn new(topic: Topic<Event>) -> Self {
        let link = link().0;
        link.send_replace(Link::Up);
        Self { topic, link }
    }

    async fn publish(&self, events: &[Event], deadline: Deadline) -> Result<Durability, Error> {
        for (index, event) in events.iter().enumerate() {
            if *self.link.borrow() == Link::Closed {
                return Err(Error::Closed);
            }
            match self.topic.publish_within(Message::of_event(event.clone()), deadline).await {
                // Nobody took it: whoever sent it must not believe that it is kept.
                Ok(0) => {
                    let reason = format!("nobody has subscribed to `{}`", self.topic.name());
                    return Err(Error::Unavailable { system: SYSTEM, reason });
                }
                Ok(_) => {}
                Err(bus::Error::DeadlineExceeded { .. } | bus::Error::Full { .. }) if index == 0 => {
                    return Err(Error::Overloaded { system: SYSTEM, retry_after: None });
                }
                Err(bus::Error::DeadlineExceeded { .. } | bus::Error::Full { .. }) => {
                    return Err(Error::DeadlineExceeded { system: SYSTEM });
                }
                Err(_) => return Err(Error::Closed),
            }
        }
        Ok(Durability::Accepted)
    }
}

impl Sink for TopicSink {
    fn system(&self) -> &'static str {
        "steadfast"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Ordering::Total, Durability::Accepted)
    }

    fn send<'a>(
        &'a self,
        events: &'a [Event],
        durability: Durability,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Durability, Error>> {
        Box::pin(async move {
            if durability > Durability::Accepted {
                return Err(Error::Unsupported {
                    system: SYSTEM,
                    what: format!("durability `{durability}`"),
                });
            }
            self.publish(events, deadline).await
        })
    }

    fn link(&self) -> LinkState {
        self.link.subscribe()
    }

    fn close(&self, _: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        self.link.send_replace(Link::Closed);
        Box::pin(async { Ok(()) })
    }
}
