use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use proptest::prelude::*;
use steadfast_base::{Deadline, Seed};
use tokio_util::sync::CancellationToken;
use tower::{Layer, service_fn};

use super::{Effect, Error, Inbox, InboxLayer, InboxOptions, Once};
use crate::delivery::{Delivery, Handling, Order};
use crate::store::{
    Appended, Batch, Capabilities, Condition, Durability, EventStore, Expected, Filter, MemoryStore,
    Position, Query, Revision, StoredEvent,
};
use crate::transport::memory::{Broker, Config};
use crate::transport::{Consumer, Subscribe};
use crate::{Event, EventId};

/// A store that lets others run before and after each append, so that whoever appends can be dropped there.
struct Slow(MemoryStore);

impl EventStore for Slow {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn append(
        &self,
        batch: Batch,
        condition: Condition,
        durability: Durability,
    ) -> BoxFuture<'_, Result<Appended, crate::store::Error>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            let appended = self.0.append(batch, condition, durability).await;
            tokio::task::yield_now().await;
            appended
        })
    }

    fn read(&self, query: Query) -> BoxStream<'_, Result<StoredEvent, crate::store::Error>> {
        self.0.read(query)
    }

    fn subscribe(
        &self,
        filter: Filter,
        after: Position,
    ) -> BoxStream<'_, Result<StoredEvent, crate::store::Error>> {
        self.0.subscribe(filter, after)
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, crate::store::Error>> {
        self.0.head()
    }

    fn revision<'a>(
        &'a self,
        stream: &'a str,
    ) -> BoxFuture<'a, Result<Option<Revision>, crate::store::Error>> {
        self.0.revision(stream)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), crate::store::Error>> {
        self.0.close()
    }
}

fn store() -> Arc<dyn EventStore> {
    Arc::new(Slow(MemoryStore::new()))
}

fn inbox(store: &Arc<dyn EventStore>, window: usize, partitions: u32) -> Inbox {
    let options = InboxOptions { window, partitions, ..InboxOptions::new("test") };
    Inbox::new(Arc::clone(store), options).expect("memory can do that")
}

fn received(id: u128) -> Event {
    Event::new("/test", "test.received").id(EventId::from_u128(id)).subject((id % 5).to_string()).build()
}

/// The effect of an event: one that names it, in a stream of its key.
fn effect_of(event: &Event) -> Effect {
    let data = event.id().to_string();
    let effect = Event::new("/test", "test.applied").data("text/plain", data);
    Effect::to_stream(format!("effects-{}", event.subject().unwrap_or_default()), [effect])
}

async fn apply(inbox: &Inbox, event: &Event) -> Once {
    let decide = || async { Ok::<_, Infallible>(effect_of(event)) };
    inbox.once(event, decide).await.expect("memory does not fail")
}

/// Returns what was applied in each stream, in order.
async fn applied(store: &dyn EventStore) -> HashMap<Arc<str>, Vec<EventId>> {
    let query =
        Query { filter: Filter { kinds: vec!["test.applied".into()], ..Filter::all() }, ..Query::default() };
    let stored: Vec<StoredEvent> = store.read(query).try_collect().await.expect("memory does not fail");
    let mut applied: HashMap<Arc<str>, Vec<EventId>> = HashMap::new();
    for StoredEvent { stream, event, .. } in stored {
        let id = String::from_utf8_lossy(event.data()).parse().expect("the id of an event");
        applied.entry(stream).or_default().push(id);
    }
    applied
}

#[tokio::test]
async fn an_effect_is_decided_again_when_its_condition_fails() {
    let store = store();
    let inbox = inbox(&store, 10, 4);
    let event = received(1);
    let mut calls = 0;
    let decide = || {
        calls += 1;
        let (store, effect, expected) = (Arc::clone(&store), effect_of(&event), calls > 1);
        async move {
            let stream = Arc::clone(&effect.batch.events[0].stream);
            if !expected {
                // Somebody else is quicker.
                let other = Batch::to_stream(Arc::clone(&stream), [Event::new("/o", "other").build()]);
                store.append(other, Condition::Any, Durability::Accepted).await?;
                return Ok(effect.when(Condition::stream(stream, Expected::NoStream)));
            }
            let revision = store.revision(&stream).await?.expect("the other's event");
            Ok::<_, crate::store::Error>(effect.when(Condition::stream(stream, Expected::Revision(revision))))
        }
    };
    assert!(matches!(inbox.once(&event, decide).await, Ok(Once::Applied(_))));
    assert_eq!(calls, 2);
    assert_eq!(applied(&*store).await["effects-1"], [event.id()]);
}

#[tokio::test]
async fn a_condition_that_never_holds_is_given_up_and_a_failed_effect_is_forgotten() {
    let store = store();
    let inbox = inbox(&store, 10, 1);
    let event = received(1);
    let never = || async {
        Ok::<_, Infallible>(effect_of(&event).when(Condition::stream("missing", Expected::Exists)))
    };
    let given_up = inbox.once(&event, never).await;
    assert!(matches!(given_up, Err(Error::Store(crate::store::Error::Conflict { .. }))), "{given_up:?}");
    let failed = inbox.once(&event, || async { Err::<Effect, _>("broken") }).await;
    assert!(matches!(failed, Err(Error::Effect("broken"))), "{failed:?}");
    assert!(matches!(apply(&inbox, &event).await, Once::Applied(_)));
    assert_eq!((apply(&inbox, &event).await, inbox.duplicates()), (Once::Duplicate, 1));
}

#[tokio::test]
async fn of_two_processes_that_handle_the_same_events_one_applies_each() {
    let store = store();
    let inboxes = [inbox(&store, 100, 2), inbox(&store, 100, 2)];
    let events: Vec<Event> = (0..60).map(received).collect();
    let handle = |inbox| {
        let events = &events;
        async move {
            for event in events {
                apply(inbox, event).await;
            }
        }
    };
    tokio::join!(handle(&inboxes[0]), handle(&inboxes[1]), handle(&inboxes[0]));
    let all: usize = applied(&*store).await.values().map(Vec::len).sum();
    assert_eq!(all, events.len());
    assert_eq!(inboxes[0].duplicates() + inboxes[1].duplicates(), 2 * events.len() as u64);
}

#[test]
fn a_durability_that_the_store_cannot_achieve_is_refused() {
    let inbox = Inbox::new(
        store(),
        InboxOptions { durability: Some(Durability::Durable), ..InboxOptions::new("test") },
    );
    assert!(matches!(inbox, Err(crate::store::Error::Unsupported { .. })), "{inbox:?}");
}

/// What happens to an inbox.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// An event is received, perhaps again, and handled.
    Handle(u128),
    /// An event is received, and whoever handles it dies after so many turns.
    Die(u128, usize),
    /// The process starts anew.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0..30_u128).prop_map(Step::Handle),
        3 => (0..30_u128, 0..5_usize).prop_map(|(id, turns)| Step::Die(id, turns)),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_effect_is_applied_once_whatever_dies_when(steps in steps(), partitions in 1..4_u32) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let store = store();
            let mut inbox = inbox(&store, 30, partitions);
            let mut handled = std::collections::BTreeSet::new();
            for step in steps {
                match step {
                    Step::Handle(id) => {
                        apply(&inbox, &received(id)).await;
                        handled.insert(id);
                    }
                    Step::Die(id, turns) => {
                        let event = received(id);
                        let mut handling = Box::pin(apply(&inbox, &event));
                        for _ in 0..turns {
                            if futures::poll!(handling.as_mut()).is_ready() {
                                handled.insert(id);
                                break;
                            }
                        }
                    }
                    Step::Restart => inbox = self::inbox(&store, 30, partitions),
                }
            }
            let mut ids: Vec<EventId> = applied(&*store).await.into_values().flatten().collect();
            ids.sort_unstable();
            prop_assert!(ids.is_sorted_by(|a, b| a < b), "applied twice: {ids:?}");
            for id in handled {
                prop_assert!(ids.contains(&EventId::from_u128(id)), "{id} was handled and is not applied");
            }
            Ok(())
        })?;
    }

    #[test]
    fn the_newest_of_the_window_are_recognised(count in 1..40_u128, window in 1..20_usize, restarts: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let store = store();
            let mut inbox = inbox(&store, window, 1);
            for id in 0..count {
                apply(&inbox, &received(id)).await;
            }
            if restarts {
                inbox = self::inbox(&store, window, 1);
            }
            for id in (count.saturating_sub(window as u128)..count).rev() {
                prop_assert_eq!(apply(&inbox, &received(id)).await, Once::Duplicate);
            }
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_dies_again_and_again_applies_each_event_once_and_in_order() {
    const KEYS: u128 = 5;
    let (store, broker) = (store(), Broker::new(Config::default()));
    let events: Vec<Event> = (0..400).map(received).collect();
    let deadline = Deadline::within(Duration::from_secs(10));
    broker.sink("topic").send(&events, Durability::Accepted, deadline).await.expect("the broker is up");
    let mut rng = Seed::new(3).rng();
    let mut deaths = 0;
    while broker.backlog("topic", "group") != Some(0) {
        let layer = InboxLayer::new(Arc::new(inbox(&store, 100, 4)));
        let handler = layer.layer(service_fn(|delivery: Delivery<Event>| async move {
            tokio::task::yield_now().await;
            Ok::<_, Never>(effect_of(delivery.payload()))
        }));
        let handling = Handling { order: Order::PerKey, ..Handling::default() };
        let consumer = Consumer::new(broker.source("topic"), Subscribe::new("group"), handling);
        let mut run = Box::pin(consumer.run(handler, CancellationToken::new()));
        // The process dies here: nothing is told any more.
        for _ in 0..rng.below(120) {
            assert!(futures::poll!(run.as_mut()).is_pending(), "nobody cancelled it");
            tokio::task::yield_now().await;
        }
        deaths += 1;
    }
    assert!(deaths > 5, "{deaths}");
    for (stream, ids) in applied(&*store).await {
        let expected: Vec<EventId> = events
            .iter()
            .filter(|event| *effect_of(event).batch.events[0].stream == *stream)
            .map(Event::id)
            .collect();
        assert_eq!(ids, expected, "{stream}");
        assert_eq!(ids.len() as u128, 400 / KEYS);
    }
}

#[derive(Debug, thiserror::Error)]
#[error("it never happens")]
enum Never {}

impl steadfast_base::Classify for Never {
    fn classify(&self) -> steadfast_base::Class {
        match *self {}
    }
}

#[test]
fn a_store_that_is_ill_is_no_fault_of_the_event() {
    use crate::store;
    use steadfast_base::{Class, Classify};
    let damaged = store::Error::Damaged { place: "here".to_owned(), problem: "gone".to_owned() };
    for error in [damaged, store::Error::Poisoned, store::Error::Full, store::Error::Overloaded] {
        assert_eq!(super::Error::<Never>::Store(error).classify(), Class::Transient);
    }
    let invalid = store::Error::Invalid { reason: "too long".to_owned() };
    assert_eq!(super::Error::<Never>::Store(invalid).classify(), Class::Permanent);
}
