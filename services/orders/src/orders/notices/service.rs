use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use steadfast::base::Classify;
use steadfast::core::Event;
use steadfast::core::delivery::{Delivery, Handling, LoggedDeadLetters, Order, Redelivery};
use steadfast::core::inbox::{Inbox, InboxLayer, InboxOptions};
use steadfast::core::outbox::{OutboxOptions, OutboxRelay};
use steadfast::core::store::{Durability, EventStore, Filter};
use steadfast::core::transport::tail::Tail;
use steadfast::core::transport::{Consumer, Sink, Source, Subscribe};
use steadfast::guard::{Scope, ScopePolicy};
use tokio_util::sync::CancellationToken;
use tower::{Layer, Service, service_fn};

use super::Transport;
use super::notify::notify;
use super::transport::Ends;
use crate::orders::defects::send_and_forget;
use crate::orders::log::SHIPPED;

/// The group that makes notices; also the name of its inbox and outbox.
const NAME: &str = "notices";
/// How many notices are made at the same time, each for another order.
const CONCURRENCY: usize = 32;
/// How long to wait before the subscription is taken up again after it has failed for good.
const TAKE_UP_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long notices under way have to be made when the program stops.
const DRAIN_MAX: Duration = Duration::from_secs(2);
/// How long all of it has to end then.
const CLOSE_WITHIN: Duration = Duration::from_millis(2500);

/// The tasks that make notices.
pub struct Notices {
    tasks: Scope,
}

impl Notices {
    /// Begins to make notices, as safe as `durability` says, of what `store` holds and will hold, with `transport`
    /// between.
    ///
    /// Without `outbox`, which is only to show that proof finds it, shipments are sent to a broker once and forgotten.
    ///
    /// # Errors
    /// The store cannot keep an inbox, or the transport's configuration is wrong.
    pub fn start(
        store: &Arc<dyn EventStore>,
        durability: Durability,
        transport: &Transport,
        outbox: bool,
    ) -> anyhow::Result<Self> {
        let tasks = Scope::new(NAME, ScopePolicy::default());
        let stop = tasks.token();
        let source: Arc<dyn Source> = match transport {
            Transport::Log => Arc::new(Tail::new(Arc::clone(store), shipments())),
            Transport::Broker { kind, address } => {
                let ends = Ends::new(*kind, address)?;
                if outbox {
                    let publish = publish(Arc::clone(store), ends.sink, stop.clone());
                    drop(tasks.spawn_until_closed("outbox", publish)?);
                } else {
                    let store = Arc::clone(store);
                    let send = send_and_forget(store, shipments(), ends.sink, stop.clone());
                    drop(tasks.spawn_until_closed("send-and-forget", send)?);
                }
                ends.source
            }
        };
        let inbox = Inbox::new(
            Arc::clone(store),
            InboxOptions { durability: Some(durability), ..InboxOptions::new(NAME) },
        )?;
        let handling = Handling {
            order: Order::PerKey,
            concurrency: CONCURRENCY,
            // A notice that the log does not take is made when it does; it is never given up.
            redelivery: Redelivery { attempts_max: u32::MAX, ..Redelivery::default() },
            // What is left is a notice that no log can ever take.
            dead_letters: Arc::new(LoggedDeadLetters),
            ..Handling::default()
        };
        let consumer = Consumer::new(source, Subscribe::new(NAME), handling).drain_within(DRAIN_MAX);
        let handler = InboxLayer::new(Arc::new(inbox)).layer(service_fn(notify));
        drop(tasks.spawn_until_closed("consumer", consume(consumer, handler, stop))?);
        Ok(Self { tasks })
    }

    /// Stops making notices; what is under way is finished, what is not is made after the next start.
    pub async fn close(self) {
        // It has been logged.
        let _ = self.tasks.close(CLOSE_WITHIN).await;
    }
}

fn shipments() -> Filter {
    Filter { kinds: vec![SHIPPED.into()], ..Filter::default() }
}

async fn publish(store: Arc<dyn EventStore>, sink: Arc<dyn Sink>, stop: CancellationToken) {
    let options = OutboxOptions {
        filter: shipments(),
        // The broker must not lose what the log is done with.
        durability: sink.capabilities().durability_max.min(Durability::Durable),
        ..OutboxOptions::new(NAME)
    };
    let outbox = OutboxRelay::new(store, sink, options);
    while let Err(error) = outbox.run(stop.clone()).await {
        wait_after("the outbox", &error, &stop).await;
    }
}

async fn consume<S>(consumer: Consumer, handler: S, stop: CancellationToken)
where
    S: Service<Delivery<Event>, Error: Classify + Display> + Clone,
{
    while let Err(error) = consumer.run(handler.clone(), stop.clone()).await {
        wait_after("the consumer", &error, &stop).await;
    }
}

/// Waits before something that has failed for good is tried again all the same: whoever runs this can mend it.
async fn wait_after(what: &'static str, error: &(impl Display + Sync), stop: &CancellationToken) {
    tracing::error!(what, %error, "notices are not made; trying again");
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(TAKE_UP_AGAIN_AFTER) => {}
    }
}
