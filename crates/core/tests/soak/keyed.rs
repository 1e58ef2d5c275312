//! Order `PerKey`, with dead letters, parking and replay in a loop: in the end each message is handled once, and those
//! of a key in their order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use steadfast_core::bus::{Message, Subscription};
use steadfast_core::delivery::{
    DeadLetters, Delivery, Handling, LetterQuery, MemoryDeadLetters, Order, Parking, Replay, WhenFull,
};
use tokio::task::JoinSet;

use crate::trouble::{self, Trouble, come_and_go};
use crate::{Count, Soak};

const KEYS: usize = 1_000;

#[derive(Clone)]
struct Work {
    key: usize,
    number: u64,
}

/// What is known of one key.
#[derive(Default)]
struct Key {
    handled: AtomicU64,
    attempts: AtomicU64,
}

pub(crate) struct Keyed {
    published: Count,
    handled: Count,
    replayed: Count,
    letters: Arc<MemoryDeadLetters<Work>>,
    subscription: Subscription<Work>,
    publisher: JoinSet<()>,
    consumers: JoinSet<()>,
    replays: JoinSet<()>,
}

impl Keyed {
    pub(crate) fn start(soak: &Soak) -> Self {
        let topic = soak.bus.topic::<Work>("keyed").expect("a new bus");
        let letters = Arc::new(MemoryDeadLetters::new(4_000));
        let handling = Handling {
            order: Order::PerKey,
            concurrency: 64,
            redelivery: trouble::redelivery(3, soak.seed.derive("keyed")),
            dead_letters: Arc::clone(&letters) as Arc<dyn DeadLetters<Work>>,
            parking: Parking { per_key_max: 20, total_max: 2_000, full: WhenFull::Wait },
            ..Handling::default()
        };
        let subscription = topic.subscribe("keeper", 512).expect("an open bus").handling(handling);
        let [published, handled, replayed] = std::array::from_fn(|_| Count::default());

        let (stop, count) = (soak.stop.clone(), published.clone());
        let mut rng = soak.seed.stream("keys");
        let mut publisher = JoinSet::new();
        publisher.spawn(async move {
            let names: Vec<Arc<str>> = (0..KEYS).map(|key| format!("key-{key}").into()).collect();
            let mut numbers = vec![0; KEYS];
            while !stop.is_cancelled() {
                let key = rng.below(KEYS as u64) as usize;
                let message =
                    Message::new(Work { key, number: numbers[key] }).partition_key(Arc::clone(&names[key]));
                topic.publish(message).await.expect("an open bus");
                numbers[key] += 1;
                count.add(1);
            }
        });

        let keys: Arc<Vec<Key>> = Arc::new((0..KEYS).map(|_| Key::default()).collect());
        let mut consumers = JoinSet::new();
        for consumer in 0..3 {
            let (soak, keys, counted) = (soak.clone(), Arc::clone(&keys), handled.clone());
            let subscription = subscription.competitor();
            consumers.spawn(async move {
                let handler = |delivery: Delivery<Work>| {
                    let (soak, keys, counted) = (soak.clone(), Arc::clone(&keys), counted.clone());
                    async move { handle(&soak, &keys, &counted, delivery.payload()).await }
                };
                let rng = soak.seed.stream(&format!("keyed runs {consumer}"));
                come_and_go(rng, || subscription.run_fn(handler)).await;
            });
        }

        let (replaying, stop, count) = (subscription.competitor(), soak.stop.clone(), replayed.clone());
        let mut replays = JoinSet::new();
        replays.spawn(async move {
            while !stop.is_cancelled() {
                let replayed = replaying.replay(Replay::All).await.expect("letters in memory can be listed");
                count.add(replayed.handled);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        Self { published, handled, replayed, letters, subscription, publisher, consumers, replays }
    }

    /// Lets trouble end, and replays until no letter is left and all is handled.
    pub(crate) async fn replayed(&mut self, soak: &Soak) {
        while self.publisher.join_next().await.is_some() {}
        while self.replays.join_next().await.is_some() {}
        soak.calm.store(true, Ordering::Relaxed);
        while self.handled.get() < self.published.get() && soak.wrong.lock().is_empty() {
            let replayed =
                self.subscription.replay(Replay::All).await.expect("letters in memory can be listed");
            self.replayed.add(replayed.handled);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn end(mut self, soak: &Soak, took: Duration) {
        while self.consumers.join_next().await.is_some() {}
        let metrics = self.subscription.metrics();
        let (published, handled, replayed) = (self.published.get(), self.handled.get(), self.replayed.get());
        eprintln!(
            "keyed: {published} messages, {:.0}/s; {} failures, {} dead, {} parked, {replayed} replayed",
            published as f64 / took.as_secs_f64(),
            metrics.failures,
            metrics.dead,
            metrics.parked,
        );
        let letters =
            self.letters.list(&LetterQuery::default()).await.expect("letters in memory can be listed");
        soak.assert(letters.is_empty(), || format!("keyed: {} letters are left", letters.len()));
        soak.assert(published == handled, || format!("keyed: {handled} of {published}"));
        soak.assert(metrics.dead + metrics.parked == metrics.replayed, || format!("keyed: {metrics:?}"));
        soak.assert(metrics.handled + metrics.replayed == published, || format!("keyed: {metrics:?}"));
        soak.assert(metrics.dead > 0 && metrics.parked > 0, || format!("keyed: no trouble: {metrics:?}"));
    }
}

async fn handle(soak: &Soak, keys: &[Key], counted: &Count, work: &Work) -> Result<(), trouble::Failure> {
    let key = &keys[work.key];
    if !soak.is_calm() {
        let attempt = key.attempts.fetch_add(1, Ordering::Relaxed);
        Trouble::draw(soak.seed, work.key as u64, attempt).happen().await?;
    }
    let next = key.handled.swap(work.number + 1, Ordering::Relaxed);
    soak.assert(work.number == next, || {
        format!("keyed: {} of key {} came for {next}", work.number, work.key)
    });
    counted.add(1);
    Ok(())
}
