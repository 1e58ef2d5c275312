//! Runs that come, go, die and are cut off, handlers that fail in every way, and letters that are replayed meanwhile:
//! nothing is lost, and nothing is handled before what came before it in its key.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use proptest::prelude::*;
use steadfast_base::{Backoff, Class, Classify, Deadline, Rng, Seed};
use tokio_util::sync::CancellationToken;

use super::Consumer;
use crate::Event;
use crate::delivery::{
    DeadLetters, Delivery, Handling, LetterQuery, Order, Redelivery, Replay, StoredDeadLetters,
};
use crate::store::flaky::Flaky;
use crate::store::{Durability, EventStore};
use crate::transport::Subscribe;
use crate::transport::memory::{Broker, Config};

#[derive(Debug, thiserror::Error)]
#[error("it is {0:?}")]
struct Failed(Class);

impl Classify for Failed {
    fn classify(&self) -> Class {
        self.0
    }
}

/// What was handled of each key.
#[derive(Default)]
struct Book(Mutex<HashMap<u32, BTreeSet<u32>>>);

impl Book {
    fn note(&self, order: Order, key: u32, number: u32) {
        let mut keys = self.0.lock();
        let handled = keys.entry(key).or_default();
        let next = handled.len() as u32;
        assert!(order != Order::PerKey || number <= next, "key {key}: {number} was handled before {next}");
        handled.insert(number);
    }

    fn is_complete(&self) -> bool {
        let book = self.0.lock();
        (0..KEYS).all(|key| book.get(&key).is_some_and(|handled| handled.len() as u32 == COUNT))
    }
}

const KEYS: u32 = 8;
const COUNT: u32 = 20;

struct World {
    broker: Broker,
    store: Arc<Flaky>,
    order: Order,
    book: Book,
    rng: Mutex<Rng>,
    /// Nothing fails any more.
    is_well: AtomicBool,
}

impl World {
    fn below(&self, bound: u64) -> u64 {
        self.rng.lock().below(bound)
    }

    async fn send_all(&self) {
        let sink = self.broker.sink("topic");
        for number in 0..COUNT {
            for key in 0..KEYS {
                let data = number.to_string();
                let event = Event::new("/test", "sent").subject(key.to_string()).data("text/plain", data);
                while sink
                    .send(std::slice::from_ref(&event), Durability::Accepted, Deadline::within(SOON))
                    .await
                    .is_err()
                {}
            }
            tokio::time::sleep(Duration::from_millis(self.below(20))).await;
        }
    }

    async fn handle(&self, delivery: Delivery<Event>) -> Result<(), Failed> {
        let key = delivery.payload().subject().and_then(|key| key.parse().ok()).expect("a key");
        let number = String::from_utf8_lossy(delivery.payload().data()).parse().expect("a number");
        tokio::time::sleep(Duration::from_millis(self.below(5))).await;
        if !self.is_well.load(Ordering::SeqCst) {
            match self.below(60) {
                0 => return Err(Failed(Class::Permanent)),
                1..8 => return Err(Failed(Class::Transient)),
                8 => panic!("told to"),
                9 => std::future::pending().await,
                _ => {}
            }
        }
        self.book.note(self.order, key, number);
        Ok(())
    }

    async fn letters(&self) -> Arc<StoredDeadLetters> {
        let store = Arc::clone(&self.store) as Arc<dyn EventStore>;
        let letters = StoredDeadLetters::open(store, "test", 10_000, Durability::Accepted).await;
        Arc::new(letters.expect("the store is read"))
    }

    fn consumer(&self, letters: &Arc<StoredDeadLetters>) -> Consumer {
        let backoff = Backoff { initial: Duration::from_millis(2), ..Backoff::default() };
        let redelivery = Redelivery { attempts_max: 3, attempt_timeout: SOON, backoff, seed: Seed::new(3) };
        let handling = Handling {
            order: self.order,
            redelivery,
            concurrency: 3,
            dead_letters: Arc::clone(letters) as _,
            ..Handling::default()
        };
        let subscribe = Subscribe { in_flight_max: 10, ..Subscribe::new("group") };
        Consumer::new(self.broker.source("topic"), subscribe, handling)
            .drain_within(SOON)
            .backoff(backoff)
            .suspect_after(1)
    }

    /// One process: some runs, which end one after the other or die together.
    async fn live(&self) {
        let letters = self.letters().await;
        let consumer = self.consumer(&letters);
        let run = |_| async {
            let cancel = CancellationToken::new();
            tokio::time::sleep(Duration::from_millis(self.below(30))).await;
            let (lifetime, dies) = (Duration::from_millis(self.below(200)), self.below(2) == 0);
            let run = consumer.run_fn(|delivery| self.handle(delivery), cancel.clone());
            tokio::pin!(run);
            if tokio::time::timeout(lifetime, &mut run).await.is_err() && !dies {
                cancel.cancel();
                run.await.expect("it was cancelled");
            }
        };
        let trouble = async {
            tokio::time::sleep(Duration::from_millis(self.below(100))).await;
            match self.below(4) {
                0 => {
                    self.broker.cut();
                    tokio::time::sleep(Duration::from_millis(self.below(30))).await;
                    self.broker.restore();
                }
                1 => self.store.appends.store(2, Ordering::SeqCst),
                2 => self.store.answers.store(2, Ordering::SeqCst),
                _ => {
                    let replay = consumer.replay(Replay::All);
                    let _ = tokio::time::timeout(Duration::from_millis(self.below(200)), replay).await;
                }
            }
        };
        tokio::join!(futures::future::join_all((0..1 + self.below(3)).map(run)), trouble);
    }

    /// Until all is handled and no letter is left.
    async fn recover(&self) {
        self.is_well.store(true, Ordering::SeqCst);
        let letters = self.letters().await;
        let consumer = self.consumer(&letters);
        let cancel = CancellationToken::new();
        let run = || consumer.run_fn(|delivery| self.handle(delivery), cancel.clone());
        let mend = async {
            while !(self.broker.backlog("topic", "group") == Some(0)
                && letters.list(&LetterQuery::default()).await.expect("in memory").is_empty())
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
                consumer.replay(Replay::All).await.expect("in memory");
            }
            cancel.cancel();
        };
        let (first, second, ()) = tokio::join!(run(), run(), mend);
        first.and(second).expect("they were cancelled");
    }
}

/// Longer than a handler takes.
const SOON: Duration = Duration::from_millis(50);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn nothing_is_lost_and_nothing_overtakes_in_its_key(
        seed: u64,
        pauses in 0_u32..3,
        order in prop_oneof![4 => Just(Order::PerKey), 1 => Just(Order::Total), 1 => Just(Order::None)],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let world = World {
                broker: Broker::new(Config::default()),
                store: Arc::new(Flaky::default()),
                order,
                book: Book::default(),
                rng: Mutex::new(Seed::new(seed).rng()),
                is_well: AtomicBool::new(false),
            };
            world.store.pauses.store(pauses, Ordering::SeqCst);
            let all = async {
                let lives = async {
                    for _ in 0..world.below(12) {
                        world.live().await;
                    }
                };
                tokio::join!(world.send_all(), lives);
                world.recover().await;
            };
            tokio::time::timeout(Duration::from_secs(3_600), all).await.expect("it does not hang");
            assert!(world.book.is_complete(), "{:?}", world.book.0);
        });
    }
}
