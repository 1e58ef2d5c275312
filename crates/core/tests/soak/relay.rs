//! From a store through an outbox, the transport in memory and an inbox to a store, in rounds: each event has its
//! effect once, in the order of its key, though connections are cut and consumers stop in the middle.
//!
//! A round has stores of its own, for a store in memory forgets nothing; the broker lives as long as the soak.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use steadfast_base::{Rng, Seed};
use steadfast_core::Event;
use steadfast_core::delivery::{Delivery, Handling, Order};
use steadfast_core::inbox::{self, Effect, Inbox, InboxLayer, InboxOptions, Once};
use steadfast_core::outbox::{OutboxOptions, OutboxRelay};
use steadfast_core::store::{Batch, Condition, Durability, EventStore, Filter, MemoryStore, Query};
use steadfast_core::transport::{Consumer, Subscribe, memory};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::{Layer, service_fn};

use crate::trouble::{self, Trouble};
use crate::{Count, Soak};

/// How many events a round has, and over how many keys.
const EVENTS: u64 = 1_000;
const KEYS: u64 = 20;
const PER_BATCH: u64 = 10;

pub(crate) struct Relay {
    rounds: Count,
    duplicates: Count,
    rounds_task: JoinSet<()>,
}

impl Relay {
    pub(crate) fn start(soak: &Soak) -> Self {
        let (rounds, duplicates) = (Count::default(), Count::default());
        let (soak, count, repeated) = (soak.clone(), rounds.clone(), duplicates.clone());
        let mut rounds_task = JoinSet::new();
        rounds_task.spawn(async move {
            let broker = memory::Broker::new(memory::Config { capacity: 500, deduplicated_events: 1_000 });
            // From now on events are kept for the group; without one the broker keeps only the newest.
            let receiver = broker.source("orders").open(&Subscribe::new("shipping")).await;
            drop(receiver.expect("the broker is up"));
            while !soak.stop.is_cancelled() {
                let seed = soak.seed.derive(&format!("round {}", count.get()));
                let round =
                    tokio::time::timeout(Duration::from_secs(30), round(&soak, &broker, &repeated, seed));
                if round.await.is_err() {
                    soak.assert(false, || format!("relay: round {} does not end", count.get()));
                    return;
                }
                count.add(1);
            }
        });
        Self { rounds, duplicates, rounds_task }
    }

    pub(crate) async fn end(mut self, soak: &Soak, took: Duration) {
        while self.rounds_task.join_next().await.is_some() {}
        let (rounds, duplicates) = (self.rounds.get(), self.duplicates.get());
        let rate = (rounds * EVENTS) as f64 / took.as_secs_f64();
        eprintln!(
            "relay: {rounds} rounds of {EVENTS} events, {rate:.0}/s through two stores; {duplicates} duplicates"
        );
        soak.assert(rounds > 0 && duplicates > 0, || {
            format!("relay: {rounds} rounds, {duplicates} duplicates")
        });
    }
}

async fn round(soak: &Soak, broker: &memory::Broker, duplicates: &Count, seed: Seed) {
    let orders: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let notices: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();

    let options = OutboxOptions { durability: Durability::Accepted, seed, ..OutboxOptions::new("orders") };
    let outbox = OutboxRelay::new(Arc::clone(&orders), broker.sink("orders"), options);
    let stopped = stop.clone();
    tasks.spawn(async move { outbox.run(stopped).await.expect("the sink takes every event") });

    let done = Count::default();
    let mut inboxes = Vec::new();
    for consumer in 0..2 {
        let inbox =
            Inbox::new(Arc::clone(&notices), InboxOptions::new("shipping")).expect("a store of many streams");
        let (soak, broker, stop, done) = (soak.clone(), broker.clone(), stop.clone(), done.clone());
        let rng = seed.stream(&format!("consumer {consumer}"));
        inboxes.push(Arc::new(inbox));
        tasks.spawn(consume(soak, broker, Arc::clone(&inboxes[consumer]), stop, done, rng));
    }

    let mut rng = seed.stream("cuts");
    for batch in 0..EVENTS / PER_BATCH {
        let events = (0..PER_BATCH).map(|event| {
            let number = batch * PER_BATCH + event;
            let order = Event::new("/orders", "order.confirmed").subject(format!("order-{}", number % KEYS));
            order.extension("number", number.to_string()).build()
        });
        let batch = Batch::to_stream("orders", events);
        orders.append(batch, Condition::Any, Durability::Accepted).await.expect("memory takes every batch");
        if rng.chance(0.02) {
            broker.cut();
            tokio::time::sleep(Duration::from_micros(rng.below(2_000))).await;
            broker.restore();
        }
    }
    while done.get() < EVENTS {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stop.cancel();
    while tasks.join_next().await.is_some() {}
    inboxes.iter().for_each(|inbox| duplicates.add(inbox.duplicates()));
    check(soak, &*notices).await;
}

/// Consumes for a moment, again and again, as a process does that is often deployed anew.
async fn consume(
    soak: Soak,
    broker: memory::Broker,
    inbox: Arc<Inbox>,
    stop: CancellationToken,
    done: Count,
    mut rng: Rng,
) {
    let handling = Handling {
        order: Order::PerKey,
        redelivery: trouble::redelivery(u32::MAX, soak.seed.derive("relay")),
        ..Handling::default()
    };
    let subscribe = Subscribe { in_flight_max: 64, ..Subscribe::new("shipping") };
    let consumer = Consumer::new(broker.source("orders"), subscribe, handling);
    let (soak, done) = (&soak, &done);
    while !stop.is_cancelled() {
        let handler = InboxLayer::new(Arc::clone(&inbox)).layer(service_fn({
            let soak = soak.clone();
            move |delivery: Delivery<Event>| {
                let soak = soak.clone();
                async move {
                    let event = delivery.payload();
                    let number = event.id().as_u128() as u64;
                    Trouble::draw(soak.seed, number, u64::from(delivery.attempt()))
                        .passing()
                        .happen()
                        .await?;
                    let key = event.subject().unwrap_or_default();
                    let number = event.extensions().get("number").cloned().unwrap_or_default();
                    let notice =
                        Event::new("/shipping", "notice.sent").subject(key).extension("number", number);
                    Ok::<_, trouble::Failure>(Effect::to_stream(format!("notices-{key}"), [notice.build()]))
                }
            }
        }));
        // Some fail after their effect is there, as a process does that dies before it has said so.
        let handler = tower::ServiceBuilder::new()
            .and_then(|once| async move {
                let Once::Applied(appended) = once else { return Ok(()) };
                done.add(1);
                let place = appended.position.parts().0;
                Trouble::draw(soak.seed, place, 1).passing().happen().await.map_err(inbox::Error::Effect)
            })
            .service(handler);
        let until = stop.child_token();
        let moment = Duration::from_millis(5 + rng.below(40));
        let stopping = async {
            tokio::time::sleep(moment).await;
            until.cancel();
            // The run ends by itself now.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            report = consumer.run(handler, until.clone()) => {
                let report = report.expect("the source is well");
                soak.assert(report.dead + report.parked == 0, || format!("relay: {report:?}"));
            }
            () = stopping => {}
        }
    }
}

async fn check(soak: &Soak, notices: &dyn EventStore) {
    let mut count = 0;
    let mut next: Vec<u64> = (0..KEYS).collect();
    let filter = Filter { kinds: vec!["notice.sent".into()], ..Filter::default() };
    let mut stored = notices.read(Query { filter, ..Query::default() });
    while let Some(notice) = stored.try_next().await.expect("memory can be read") {
        let number = notice.event.extensions().get("number").and_then(|number| number.parse::<u64>().ok());
        let number = number.unwrap_or(u64::MAX);
        let next = &mut next[(number % KEYS) as usize];
        soak.assert(number == *next, || format!("relay: the notice of {number} came for {next}"));
        *next = number + KEYS;
        count += 1;
    }
    soak.assert(count == EVENTS, || format!("relay: {count} notices of {EVENTS}"));
}
