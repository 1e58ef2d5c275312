//! Events behind an inbox in the file log: whatever dies when, each has its effect once and in order.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use steadfast_base::disk::Crash;
use steadfast_base::{Class, Classify, Deadline, Seed};
use steadfast_core::Event;
use steadfast_core::delivery::{Delivery, Handling, Order, Redelivery};
use steadfast_core::inbox::{Effect, Error, Inbox, InboxOptions};
use steadfast_core::store::{Durability, EventStore};
use steadfast_core::transport::memory::{Broker, Config};
use steadfast_core::transport::{Consumer, Subscribe};
use tokio_util::sync::CancellationToken;

use crate::support::{all, open, sim};

const KEYS: u32 = 4;
const PER_KEY: u32 = 15;

#[derive(Debug, thiserror::Error)]
#[error("it never happens")]
struct Never;

impl Classify for Never {
    fn classify(&self) -> Class {
        Class::Permanent
    }
}

async fn handle(inbox: &Inbox, delivery: &Delivery<Event>) -> Result<(), Error<Never>> {
    let received = delivery.payload();
    let decide = || async {
        let effect = Event::new("/test", "effect").data("text/plain", received.data().clone());
        Ok(Effect::to_stream(format!("effects-{}", received.subject().unwrap_or_default()), [effect]))
    };
    inbox.once(received, decide).await.map(drop)
}

/// Handles all events over as many lives as it takes, each ended by the loss of power or the death of the process in
/// the middle of an append; returns how many lives it took.
async fn live(seed: u64) -> u64 {
    let (disk, broker) = (sim(seed), Broker::new(Config::default()));
    let mut rng = Seed::new(seed).stream("inbox");
    let events: Vec<Event> = (0..PER_KEY)
        .flat_map(|number| (0..KEYS).map(move |key| (number, key)))
        .map(|(number, key)| {
            Event::new("/test", "sent").subject(key.to_string()).data("text/plain", number.to_string())
        })
        .collect();
    let deadline = Deadline::within(Duration::from_secs(10));
    broker.sink("topic").send(&events, Durability::Accepted, deadline).await.expect("there is room");

    let mut lives = 0;
    while broker.backlog("topic", "group") != Some(0) {
        let log: Arc<dyn EventStore> = Arc::new(open(&disk).expect("a crash is not damage"));
        let options = InboxOptions { partitions: 2, window: 100, ..InboxOptions::new("test") };
        let inbox = Inbox::new(log, options).expect("the log takes several streams");
        let inbox = &inbox;
        let handler = |delivery: Delivery<Event>| async move { handle(inbox, &delivery).await };
        // A disk that is off is no reason to give an event up.
        let redelivery = Redelivery { attempts_max: u32::MAX, ..Redelivery::default() };
        let handling = Handling { order: Order::PerKey, redelivery, ..Handling::default() };
        let consumer = Consumer::new(broker.source("topic"), Subscribe::new("group"), handling);
        disk.power_off_after(rng.below(30));
        let ends = async {
            while !disk.is_off() && broker.backlog("topic", "group") != Some(0) {
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        };
        let ends = tokio::time::timeout(Duration::from_secs(20), ends);
        tokio::select! {
            ended = consumer.run_fn(handler, CancellationToken::new()) => panic!("nobody cancelled it: {ended:?}"),
            ended = ends => ended.expect("the power goes off, or all is handled"),
        }
        drop(consumer);
        disk.crash(if rng.chance(0.3) { Crash::ProcessOnly } else { Crash::Torn });
        lives += 1;
        assert!(lives < 1_000, "it does not come to its end");
    }

    let mut effects: HashMap<String, Vec<u32>> = HashMap::new();
    let log = open(&disk).expect("a crash is not damage");
    for stored in all(&log).await.expect("readable") {
        if stored.event.kind() == "effect" {
            let number = String::from_utf8_lossy(stored.event.data()).parse().expect("a number");
            effects.entry(stored.stream.to_string()).or_default().push(number);
        }
    }
    assert_eq!(effects.len(), KEYS as usize);
    for (stream, numbers) in effects {
        assert_eq!(numbers, Vec::from_iter(0..PER_KEY), "{stream}, seed {seed}");
    }
    lives
}

#[test]
fn every_event_has_its_effect_once_whatever_dies_when() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let lives: u64 = (0..40).map(|seed| runtime.block_on(live(seed))).sum();
    assert!(lives > 100, "it hardly ever died: {lives} lives of 40 logs");
}
