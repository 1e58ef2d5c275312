//! Whatever handlers do and however runs come and go: order is kept, nothing is lost or settled twice, attempts
//! are bounded, and what is parked comes back in order.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use proptest::prelude::*;
use steadfast_base::{Backoff, Rng, Seed};
use tower::service_fn;

use super::feed::Feed;
use super::{Failure, PATIENCE};
use crate::delivery::{
    DeadLetters, DeadLettersError, Delivery, Dispatcher, Fate, Handling, Letter, LetterId, LetterQuery,
    MemoryDeadLetters, Message, Order, Redelivery, Replay, Settled,
};

const ATTEMPTS_MAX: u32 = 3;

#[derive(Debug, Clone)]
struct Scenario {
    seed: u64,
    order: Order,
    concurrency: usize,
    waiting_max: usize,
    messages: u64,
    keys: u64,
    runs: u64,
    /// How often, in percent, an attempt fails in one way or another.
    failing: u64,
}

fn scenarios() -> impl Strategy<Value = Scenario> {
    let order = prop_oneof![Just(Order::Total), Just(Order::PerKey), Just(Order::None)];
    (any::<u64>(), order, 1_usize..6, 1_usize..20, 1_u64..80, 1_u64..8, 0_u64..6, 0_u64..60).prop_map(
        |(seed, order, concurrency, waiting_max, messages, keys, runs, failing)| Scenario {
            seed,
            order,
            concurrency,
            waiting_max,
            messages,
            keys,
            runs,
            failing,
        },
    )
}

fn key_of(scenario: &Scenario, number: u64) -> Option<u64> {
    let key = Seed::new(scenario.seed).derive("key").value().wrapping_mul(number + 1) >> 7;
    // One in `keys + 1` messages has no key.
    Some(key % (scenario.keys + 1)).filter(|key| *key < scenario.keys)
}

fn message(scenario: &Scenario, number: u64) -> Message<u64> {
    let message = Message::new(number).key(number.to_string());
    match key_of(scenario, number) {
        Some(key) => message.partition_key(key.to_string()),
        None => message,
    }
}

/// Dead letters that take their time and sometimes do not answer, so that runs and replays are dropped meanwhile.
struct Slow {
    letters: MemoryDeadLetters<u64>,
    rng: Mutex<Rng>,
}

impl Slow {
    async fn wait(&self) -> Result<(), DeadLettersError> {
        let (wait, fails) = {
            let mut rng = self.rng.lock();
            (rng.below(20), rng.chance(0.1))
        };
        tokio::time::sleep(Duration::from_millis(wait)).await;
        if fails { Err(DeadLettersError::unavailable("not now")) } else { Ok(()) }
    }
}

impl DeadLetters<u64> for Slow {
    fn put<'a>(&'a self, letter: &'a Letter<u64>) -> BoxFuture<'a, Result<LetterId, DeadLettersError>> {
        Box::pin(async {
            self.wait().await?;
            let id = self.letters.put(letter).await;
            // The answer may be lost after the letter was kept.
            self.wait().await.and(id)
        })
    }

    fn list<'a>(
        &'a self,
        select: &'a LetterQuery,
    ) -> BoxFuture<'a, Result<Vec<Letter<u64>>, DeadLettersError>> {
        self.letters.list(select)
    }

    fn amend<'a>(&'a self, id: LetterId, fate: &'a Fate) -> BoxFuture<'a, Result<(), DeadLettersError>> {
        Box::pin(async move {
            self.wait().await?;
            self.letters.amend(id, fate).await
        })
    }

    fn take(&self, id: LetterId) -> BoxFuture<'_, Result<Option<Letter<u64>>, DeadLettersError>> {
        Box::pin(async move {
            self.wait().await?;
            self.letters.take(id).await
        })
    }
}

/// What handlers have seen, checked while it happens.
struct Witness {
    scenario: Scenario,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    at_work: Vec<u64>,
    calls: usize,
    attempts: HashMap<u64, u32>,
    /// The messages that a handler took, in order.
    handled: Vec<u64>,
    faults: Vec<String>,
}

impl Witness {
    fn begin(&self, batch: &[Delivery<u64>]) {
        let mut state = self.state.lock();
        let limit = if self.scenario.order == Order::Total { 1 } else { self.scenario.concurrency };
        state.calls += 1;
        if state.calls > limit {
            let fault = format!("{} calls at the same time", state.calls);
            state.faults.push(fault);
        }
        for delivery in batch {
            let number = *delivery.payload();
            let same = |other: &u64| match self.scenario.order {
                Order::Total => true,
                Order::PerKey => {
                    key_of(&self.scenario, number).is_some()
                        && key_of(&self.scenario, *other) == key_of(&self.scenario, number)
                }
                Order::None => *other == number,
            };
            let fault = state.at_work.iter().find(|other| same(other)).copied();
            if let Some(other) = fault {
                state.faults.push(format!("{number} began while {other} was at work"));
            }
            let later = |other: &&u64| same(other) && **other >= number;
            let fault = state.handled.iter().find(later).copied();
            if let Some(other) = fault {
                state.faults.push(format!("{number} began after {other} was handled"));
            }
            let attempts = state.attempts.entry(number).or_default();
            *attempts += 1;
            if *attempts != delivery.attempt() {
                let fault = format!("attempt {} of {number} is really {attempts}", delivery.attempt());
                state.faults.push(fault);
            }
        }
        state.at_work.extend(batch.iter().map(|delivery| *delivery.payload()));
    }

    fn end(&self, batch: &[u64], is_handled: bool) {
        let mut state = self.state.lock();
        state.calls -= 1;
        state.at_work.retain(|number| !batch.contains(number));
        if is_handled {
            state.handled.extend(batch);
        }
    }
}

struct AtWork {
    witness: Arc<Witness>,
    batch: Vec<u64>,
    is_handled: bool,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.witness.end(&self.batch, self.is_handled);
    }
}

async fn handle(witness: Arc<Witness>, batch: Vec<Delivery<u64>>, mut rng: Rng) -> Result<(), Failure> {
    witness.begin(&batch);
    let numbers = batch.iter().map(|delivery| *delivery.payload()).collect();
    let mut at_work = AtWork { batch: numbers, is_handled: false, witness };
    if rng.chance(0.5) {
        tokio::time::sleep(Duration::from_millis(rng.below(40))).await;
    }
    if rng.below(100) < at_work.witness.scenario.failing {
        match rng.below(6) {
            0 => return Err(Failure("permanent")),
            1 => std::panic::resume_unwind(Box::new("without a word on stderr")),
            2 => std::future::pending::<()>().await,
            _ => return Err(Failure("transient")),
        }
    }
    at_work.is_handled = true;
    Ok(())
}

async fn play(scenario: Scenario) {
    let mut rng = Seed::new(scenario.seed).rng();
    let feed = Arc::new(Feed::default());
    let rng_of_letters = Mutex::new(Seed::new(scenario.seed).stream("letters"));
    let letters = Arc::new(Slow { letters: MemoryDeadLetters::new(1_000), rng: rng_of_letters });
    let redelivery = Redelivery {
        attempts_max: ATTEMPTS_MAX,
        attempt_timeout: Duration::from_millis(100),
        backoff: Backoff { max: Duration::from_millis(60), ..Backoff::default() },
        seed: Seed::new(scenario.seed),
    };
    let handling = Handling {
        order: scenario.order,
        concurrency: scenario.concurrency,
        waiting_max: scenario.waiting_max,
        redelivery,
        dead_letters: Arc::clone(&letters) as _,
        ..Handling::default()
    };
    let dispatcher = Dispatcher::new(Arc::clone(&feed), "numbers", "test", handling);
    let witness = Arc::new(Witness { scenario: scenario.clone(), state: Mutex::default() });
    let start = |seed: u64, dispatcher: Dispatcher<u64, Feed>| {
        let (witness, mut rng) = (Arc::clone(&witness), Seed::new(seed).rng());
        let batch = rng.below(3);
        tokio::spawn(async move {
            if batch == 0 {
                let size_max = 1 + rng.below(5) as usize;
                let within = Duration::from_millis(rng.below(20));
                let handler = service_fn(|batch: Vec<Delivery<u64>>| {
                    handle(Arc::clone(&witness), batch, Seed::new(rng.next_u64()).rng())
                });
                dispatcher.run_batches(handler, size_max, within).await;
            } else {
                let handler =
                    |delivery| handle(Arc::clone(&witness), vec![delivery], Seed::new(rng.next_u64()).rng());
                dispatcher.run_fn(handler).await;
            }
        })
    };

    let mut runs = Vec::new();
    let mut sent = 0;
    let mut started = 0;
    while sent < scenario.messages || started < scenario.runs {
        tokio::time::sleep(Duration::from_millis(rng.below(30))).await;
        let next = scenario.messages.min(sent + rng.below(10));
        (sent..next).for_each(|number| feed.push(message(&scenario, number)));
        sent = next;
        if started < scenario.runs && rng.chance(0.5) {
            runs.push(start(rng.next_u64(), dispatcher.clone()));
            started += 1;
        }
        if !runs.is_empty() && rng.chance(0.3) {
            runs.swap_remove(rng.below(runs.len() as u64) as usize).abort();
        }
    }
    feed.end();
    runs.push(start(rng.next_u64(), dispatcher.clone()));
    for run in runs {
        let done = tokio::time::timeout(PATIENCE, run).await.expect("what is in hand comes to an end");
        assert!(!done.is_err_and(|error| error.is_panic()), "a panic of a handler is no panic of its run");
    }

    let metrics = dispatcher.metrics();
    assert_eq!((metrics.in_hand, metrics.in_flight), (0, 0));
    let settled: BTreeMap<u64, Settled> = feed.settled().into_iter().collect();
    assert_eq!(settled.len(), feed.settled().len(), "nothing is settled twice");
    assert_eq!(settled.len() as u64, scenario.messages, "nothing is lost");
    {
        let state = witness.state.lock();
        assert_eq!(state.faults, Vec::<String>::new());
        assert!(state.attempts.values().all(|attempts| *attempts <= ATTEMPTS_MAX));
        let mut handled = state.handled.clone();
        handled.sort_unstable();
        assert_eq!(handled, sorted(feed.with(Settled::Handled)));
        for number in feed.with(Settled::Dead) {
            assert!(state.attempts.contains_key(&number), "{number} died without an attempt");
        }
    }
    check_parked(&scenario, &feed);
    check_replay(&scenario, &dispatcher, &feed, &letters).await;
}

fn sorted(mut numbers: Vec<u64>) -> Vec<u64> {
    numbers.sort_unstable();
    numbers
}

/// Behind a dead letter all of its key is parked or dead, and nothing else is parked.
fn check_parked(scenario: &Scenario, feed: &Feed) {
    let mut dead = std::collections::BTreeSet::new();
    let settled: BTreeMap<u64, Settled> = feed.settled().into_iter().collect();
    for (number, settled) in settled {
        let key = key_of(scenario, number).filter(|_| scenario.order == Order::PerKey);
        let is_behind = key.is_some_and(|key| dead.contains(&key));
        match settled {
            Settled::Handled => assert!(!is_behind, "{number} passed a dead letter"),
            Settled::Parked => assert!(is_behind, "{number} is parked behind nothing"),
            _ => {
                dead.extend(key);
            }
        }
    }
}

/// Replayed, the letters are handled in order, among messages that come meanwhile.
async fn check_replay(
    scenario: &Scenario,
    dispatcher: &Dispatcher<u64, Feed>,
    feed: &Arc<Feed>,
    letters: &Slow,
) {
    let kept = letters.list(&LetterQuery::default()).await.expect("memory answers");
    let expected: Vec<u64> = sorted(kept.iter().map(|letter| *letter.message.payload()).collect());
    let mut unhandled = feed.with(Settled::Dead);
    unhandled.extend(feed.with(Settled::Parked));
    assert_eq!(expected, sorted(unhandled));
    // A new process: the table starts empty, and learns from the letters what is parked.
    let fresh = Arc::new(Feed::default());
    let dispatcher = Dispatcher::new(Arc::clone(&fresh), "numbers", "test", dispatcher.handling().clone());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let run = {
        let (dispatcher, seen) = (dispatcher.clone(), Arc::clone(&seen));
        tokio::spawn(async move {
            dispatcher
                .run_fn(|delivery: Delivery<u64>| {
                    let seen = Arc::clone(&seen);
                    async move {
                        tokio::time::sleep(Duration::from_millis(*delivery.payload() % 5)).await;
                        seen.lock().push(*delivery.payload());
                        Ok::<_, Infallible>(())
                    }
                })
                .await;
        })
    };
    let total = scenario.messages;
    let send = async {
        for number in total..total + 30 {
            fresh.push(message(scenario, number));
            tokio::time::sleep(Duration::from_millis(number % 3)).await;
        }
    };
    let work = async { tokio::join!(dispatcher.replay(Replay::All), send) };
    let Ok((replayed, ())) = tokio::time::timeout(PATIENCE, work).await else {
        panic!(
            "the replay comes to an end: {:?}, {:?}",
            dispatcher.metrics(),
            letters.list(&LetterQuery::default()).await
        );
    };
    let replayed = replayed.expect("memory answers");
    assert_eq!(replayed.failed, 0);
    // What was parked meanwhile, of keys that were replayed before, was replayed too.
    assert!(replayed.handled >= expected.len() as u64, "{replayed:?}");
    fresh.end();
    tokio::time::timeout(PATIENCE, run).await.expect("it ends").expect("it does not panic");
    let left = letters.list(&LetterQuery::default()).await.expect("memory answers");
    assert!(left.is_empty(), "{left:?}");
    let seen = seen.lock().clone();
    let all: Vec<u64> = expected.into_iter().chain(total..total + 30).collect();
    assert_eq!(sorted(seen.clone()), all);
    if scenario.order == Order::PerKey {
        for key in 0..scenario.keys {
            let of_key: Vec<u64> =
                seen.iter().copied().filter(|number| key_of(scenario, *number) == Some(key)).collect();
            assert!(of_key.is_sorted(), "key {key}: {of_key:?}");
        }
    }
}

proptest! {
    #[test]
    fn order_is_kept_and_nothing_is_lost(scenario in scenarios()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(play(scenario));
    }
}
