use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::TryStreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use parking_lot::Mutex;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use steadfast_base::{Context, Deadline, Rng, Seed, TraceContext};
use tokio::sync::Notify;

use super::{Call, Done, Driver, Ended, Error, Next, Policy, Port, ProcessManager, StepError};
use crate::machine::Lifecycle;
use crate::patience::until;
use crate::store::{
    self, Appended, Batch, Capabilities, Condition, Durability, EventStore, Filter, MemoryStore, Position,
    Query, Revision, StoredEvent,
};

/// Three steps; the process turns back if the first returns an odd number.
struct Trip;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Step {
    Hotel,
    Car,
    Flight,
}

const STEPS: [Step; 3] = [Step::Hotel, Step::Car, Step::Flight];

impl ProcessManager for Trip {
    type Input = u64;
    type Step = Step;
    type Output = u64;

    fn name(&self) -> &str {
        "trip"
    }

    fn trace(&self, input: &u64) -> Option<TraceContext> {
        TraceContext::new(u128::from(*input), 1, true).ok()
    }

    fn react(&self, _: &u64, done: &[Done<Step, u64>]) -> Next<Step> {
        match done {
            [hotel, ..] if hotel.output % 2 == 1 => Next::Compensate { reason: "odd hotel".to_owned() },
            _ => STEPS.get(done.len()).map_or(Next::Complete, |step| Next::Do(*step)),
        }
    }
}

/// Ends an incarnation: after so many operations every further one hangs, as in a process that was killed.
struct Fuse {
    left: AtomicU64,
    blown: Notify,
}

impl Fuse {
    fn new(operations: u64) -> Arc<Self> {
        Arc::new(Self { left: AtomicU64::new(operations), blown: Notify::new() })
    }

    async fn burn(&self) {
        let left = self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1));
        if left.is_err() {
            self.blown.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

/// The services: what they have done by key, and what they refuse from now on.
struct World {
    rng: Mutex<Rng>,
    /// Out of 100, how often a call ends well, and how often it is refused; else something goes wrong.
    good: u64,
    refused: u64,
    applied: Mutex<BTreeMap<String, Step>>,
    void: Mutex<BTreeSet<String>>,
    /// Calls whose request is still on its way.
    late: Mutex<Vec<(String, Step)>>,
    undone: Mutex<Vec<Step>>,
}

impl World {
    fn new(seed: u64, good: u64, refused: u64) -> Arc<Self> {
        let rng = Mutex::new(Seed::new(seed).rng());
        let (applied, void, late, undone) =
            (Mutex::default(), Mutex::default(), Mutex::default(), Mutex::default());
        Arc::new(Self { rng, good, refused, applied, void, late, undone })
    }

    fn draw(&self, below: u64) -> u64 {
        self.rng.lock().below(below)
    }

    fn apply(&self, key: &str, step: Step) -> Result<u64, StepError> {
        if self.void.lock().contains(key) {
            return Err(StepError::refused("the key is void"));
        }
        self.applied.lock().insert(key.to_owned(), step);
        // The same answer to each repetition; odd for one key in seven.
        Ok(u64::from(key.bytes().map(u64::from).sum::<u64>() % 7 == 0))
    }

    fn void(&self, key: &str) {
        self.void.lock().insert(key.to_owned());
        if let Some(step) = self.applied.lock().remove(key) {
            self.undone.lock().push(step);
        }
    }

    fn let_late_calls_arrive(&self) {
        for (key, step) in std::mem::take(&mut *self.late.lock()) {
            let _ = self.apply(&key, step);
        }
    }
}

struct Services {
    world: Arc<World>,
    fuse: Arc<Fuse>,
}

impl Port<Trip> for Services {
    async fn execute(&self, call: Call<Trip>) -> Result<u64, StepError> {
        self.fuse.burn().await;
        let (key, step, world) = (call.key().to_owned(), *call.step(), &self.world);
        assert_eq!(Context::key(&call), Some(&*key));
        assert_eq!(call.trace().map(|trace| trace.trace_id()), Some(7));
        let draw = world.draw(100);
        let answer = if draw < world.good {
            world.apply(&key, step)
        } else if draw < world.good + world.refused {
            if !world.applied.lock().contains_key(&key) {
                world.void.lock().insert(key.clone());
            }
            world.apply(&key, step)
        } else {
            match world.draw(7) {
                6 => return Err(StepError::not_sent("a guard refused it")),
                0 => drop(world.apply(&key, step)),
                1 => {}
                2 => world.late.lock().push((key, step)),
                3 => world.let_late_calls_arrive(),
                4 => {
                    let _ = world.apply(&key, step);
                    std::future::pending::<()>().await;
                }
                // Without a message on stderr for each.
                _ => std::panic::resume_unwind(Box::new("the client has a bug")),
            }
            Err(StepError::unknown("lost"))
        };
        self.fuse.burn().await;
        answer
    }

    async fn undo(&self, call: Call<Trip>) -> Result<(), StepError> {
        self.fuse.burn().await;
        let known = self.world.draw(100) < self.world.good.max(30);
        if known || self.world.draw(2) == 0 {
            self.world.void(call.key());
        }
        self.fuse.burn().await;
        if known { Ok(()) } else { Err(StepError::unknown("lost")) }
    }
}

/// A store whose process may die before or after an append.
struct Mortal {
    store: Arc<MemoryStore>,
    fuse: Arc<Fuse>,
}

impl EventStore for Mortal {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    fn append(
        &self,
        batch: Batch,
        condition: Condition,
        durability: Durability,
    ) -> BoxFuture<'_, Result<Appended, store::Error>> {
        Box::pin(async move {
            self.fuse.burn().await;
            let appended = self.store.append(batch, condition, durability).await;
            self.fuse.burn().await;
            appended
        })
    }

    fn read(&self, query: Query) -> BoxStream<'_, Result<StoredEvent, store::Error>> {
        self.store.read(query)
    }

    fn subscribe(&self, filter: Filter, after: Position) -> BoxStream<'_, Result<StoredEvent, store::Error>> {
        self.store.subscribe(filter, after)
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, store::Error>> {
        self.store.head()
    }

    fn revision<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<Option<Revision>, store::Error>> {
        self.store.revision(stream)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), store::Error>> {
        self.store.close()
    }
}

type TripDriver = Driver<Trip, Services>;

fn driver(world: &Arc<World>, store: &Arc<MemoryStore>, fuse: &Arc<Fuse>, policy: Policy) -> TripDriver {
    let services = Services { world: Arc::clone(world), fuse: Arc::clone(fuse) };
    let store = Mortal { store: Arc::clone(store), fuse: Arc::clone(fuse) };
    Driver::new(Trip, services, Arc::new(store), policy)
}

fn policy(attempts_max: Option<u32>) -> Policy {
    Policy { attempts_max, durability: Durability::Accepted, seed: Seed::new(1), ..Policy::default() }
}

async fn kinds(store: &MemoryStore, id: &str) -> Vec<String> {
    let events: Vec<_> = store.read(Query::stream(format!("trip-{id}"))).try_collect().await.expect("open");
    events.iter().map(|stored| stored.event.kind().to_owned()).collect()
}

/// What must hold when a process has ended, however it came to that.
async fn check_end(world: &World, store: &MemoryStore, id: &str, ended: &Ended<Trip>) {
    world.let_late_calls_arrive();
    let applied = world.applied.lock().clone();
    let kinds = kinds(store, id).await;
    let ends = kinds.iter().filter(|kind| ["trip.completed", "trip.compensated"].contains(&kind.as_str()));
    assert_eq!((kinds[0].as_str(), ends.count()), ("trip.started", 1), "{kinds:?}");
    match ended {
        Ended::Completed(done) => {
            let expected: BTreeMap<String, Step> =
                STEPS.iter().enumerate().map(|(i, step)| (format!("trip-{id}/{i}"), *step)).collect();
            assert_eq!(applied, expected, "each step took effect once, under its key");
            assert!(done.iter().map(|done| done.step).eq(STEPS));
            assert!(world.undone.lock().is_empty(), "something was undone");
        }
        Ended::Compensated(_) => {
            assert_eq!(applied, BTreeMap::new(), "something took effect and stayed");
            let undone = world.undone.lock();
            assert!(undone.is_sorted_by(|a, b| a > b), "not undone in reverse: {undone:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever services do and wherever the process dies, it ends either done in whole or undone in whole, and
    /// each step takes effect once.
    #[test]
    fn every_process_ends_whole(
        seed: u64,
        good in 0_u64..100,
        refused in 0_u64..20,
        attempts_max in prop::option::of(1_u32..5),
        lives in prop::collection::vec(0_u64..14, 0..8),
        id in 0_u64..50,
        twins: bool,
    ) {
        // Without an end to attempts, services must answer some time.
        let good = if attempts_max.is_none() { good.max(20) } else { good };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let (world, store) = (World::new(seed, good, refused), Arc::new(MemoryStore::new()));
            let id = id.to_string();
            let mut ended = None;
            for life in lives.into_iter().chain([u64::MAX]) {
                let fuse = Fuse::new(life);
                let driver = driver(&world, &store, &fuse, policy(attempts_max));
                let twin = twins.then(|| self::driver(&world, &store, &fuse, policy(attempts_max)));
                let live = async {
                    driver.resume().await?;
                    if let Some(twin) = &twin {
                        twin.resume().await?;
                    }
                    driver.start(id.as_str(), 7).await?.ended().await
                };
                tokio::select! {
                    biased;
                    () = fuse.blown.notified() => {}
                    outcome = live => ended = Some(outcome.expect("the store does not fail")),
                }
                if let Some(twin) = twin {
                    twin.close(Deadline::within(Duration::from_secs(60))).await;
                }
            }
            check_end(&world, &store, &id, &ended.expect("the last life has no end")).await;
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_is_resumed_without_being_started_again() {
    for life in 2..12 {
        let (world, store) = (World::new(life, 100, 0), Arc::new(MemoryStore::new()));
        let fuse = Fuse::new(life);
        let first = driver(&world, &store, &fuse, policy(None));
        let handle = tokio::select! {
            () = fuse.blown.notified() => None,
            handle = first.start("a", 7) => Some(handle.expect("started")),
        };
        if handle.is_some() {
            fuse.blown.notified().await;
        }
        drop(first);
        if let Some(mut handle) = handle {
            assert!(matches!(handle.ended().await, Err(Error::Closed)));
        }

        let second = driver(&world, &store, &Fuse::new(u64::MAX), policy(None));
        assert_eq!(second.resume().await.expect("readable"), 1, "after {life} operations");
        until("all have ended", || second.running() == 0).await;
        let ended = second.start("a", 0).await.expect("found").ended().await.expect("ended");
        check_end(&world, &store, "a", &ended).await;
        assert_eq!(second.resume().await.expect("readable"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_is_recorded_with_the_last_step() {
    let (world, store) = (World::new(1, 100, 0), Arc::new(MemoryStore::new()));
    let driver = driver(&world, &store, &Fuse::new(u64::MAX), policy(None));
    // The keys of "b" make no odd number.
    let mut handle = driver.start("b", 7).await.expect("started");
    let ended = handle.ended_within(Deadline::within(Duration::from_secs(1))).await.expect("driven");
    assert!(matches!(ended, Some(Ended::Completed(_))));
    let expected = ["trip.started", "trip.step-done", "trip.step-done", "trip.step-done", "trip.completed"];
    assert_eq!(kinds(&store, "b").await, expected);
    let events: Vec<_> = store.read(Query::default()).try_collect().await.expect("open");
    assert!(events.iter().all(|stored| stored.event.trace().is_some()), "{events:?}");

    let again = driver.start("b", 7).await.expect("found").ended().await;
    assert!(matches!(again, Ok(Ended::Completed(_))));
    assert_eq!(kinds(&store, "b").await, expected);
}

/// Services that answer as they are told, call by call, and wait until they are told more; they keep what was undone.
#[derive(Default)]
struct Told {
    answers: Mutex<VecDeque<Result<u64, StepError>>>,
    more: Notify,
    asked: AtomicU64,
    undone: Mutex<Vec<Step>>,
}

impl Told {
    /// Waits until so many steps were asked for.
    async fn asked(&self, steps: u64) {
        until("steps are asked for", || self.asked.load(Ordering::Acquire) >= steps).await;
    }

    fn tell(&self, answers: impl IntoIterator<Item = Result<u64, StepError>>) {
        self.answers.lock().extend(answers);
        self.more.notify_one();
    }
}

impl Port<Trip> for Arc<Told> {
    async fn execute(&self, _: Call<Trip>) -> Result<u64, StepError> {
        self.asked.fetch_add(1, Ordering::AcqRel);
        loop {
            let answer = self.answers.lock().pop_front();
            match answer {
                Some(answer) => return answer,
                None => self.more.notified().await,
            }
        }
    }

    async fn undo(&self, call: Call<Trip>) -> Result<(), StepError> {
        self.undone.lock().push(*call.step());
        Ok(())
    }
}

fn told(
    store: &Arc<MemoryStore>,
    answers: &[Result<u64, StepError>],
) -> (Arc<Told>, Driver<Trip, Arc<Told>>) {
    let told = Arc::new(Told::default());
    told.tell(answers.iter().cloned());
    let policy = Policy { attempt_timeout: Duration::from_secs(3600), ..policy(Some(2)) };
    (Arc::clone(&told), Driver::new(Trip, told, Arc::clone(store) as Arc<dyn EventStore>, policy))
}

/// Returns how a trip ends whose car is answered so, and what of it was undone.
async fn with_car(store: &Arc<MemoryStore>, answers: &[Result<u64, StepError>]) -> (Ended<Trip>, Vec<Step>) {
    let (told, driver) = told(store, answers);
    let mut handle = driver.start("a", 7).await.expect("started");
    let ended = handle.ended().await.expect("driven");
    (ended, told.undone.lock().clone())
}

#[tokio::test(start_paused = true)]
async fn a_step_is_undone_unless_none_of_its_attempts_was_sent() {
    let not_sent = || Err(StepError::not_sent("breaker open"));
    let lost = || Err(StepError::unknown("lost"));

    let store = Arc::new(MemoryStore::new());
    let (ended, undone) = with_car(&store, &[Ok(0), not_sent(), not_sent()]).await;
    assert!(matches!(&ended, Ended::Compensated(StepError::NotSent { .. })), "{ended:?}");
    assert_eq!(undone, [Step::Hotel]);
    let expected = ["trip.started", "trip.step-done", "trip.failed", "trip.step-undone", "trip.compensated"];
    assert_eq!(kinds(&store, "a").await, expected);

    for answers in [[Ok(0), lost(), not_sent()], [Ok(0), not_sent(), lost()]] {
        let (ended, undone) = with_car(&Arc::new(MemoryStore::new()), &answers).await;
        assert!(matches!(&ended, Ended::Compensated(StepError::Unknown { .. })), "{ended:?}");
        assert_eq!(undone, [Step::Car, Step::Hotel]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_of_a_driver_that_died_may_have_been_sent() {
    let not_sent = || Err(StepError::not_sent("breaker open"));
    let store = Arc::new(MemoryStore::new());
    let (first, driver) = told(&store, &[Ok(0)]);
    driver.start("a", 7).await.expect("started");
    // The car is under way.
    first.asked(2).await;
    drop(driver);
    let (ended, undone) = with_car(&store, &[not_sent(), not_sent()]).await;
    assert!(matches!(&ended, Ended::Compensated(StepError::Unknown { .. })), "{ended:?}");
    assert_eq!(undone, [Step::Car, Step::Hotel]);
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_goes_on_with_a_process_is_noticed_by_the_one_that_began_it() {
    let not_sent = || Err(StepError::not_sent("breaker open"));
    let store = Arc::new(MemoryStore::new());
    let (first, driver) = told(&store, &[Ok(0)]);
    let mut handle = driver.start("a", 7).await.expect("started");
    first.asked(2).await;
    // Another one sends the car and dies, while the first one's car waits for a guard.
    let (second, twin) = told(&store, &[]);
    assert_eq!(twin.resume().await.expect("readable"), 1);
    second.asked(1).await;
    assert_eq!(kinds(&store, "a").await, ["trip.started", "trip.step-done", "trip.resumed"]);
    drop(twin);
    first.tell([not_sent(), not_sent(), not_sent(), not_sent()]);
    let ended = handle.ended().await.expect("driven");
    assert!(matches!(&ended, Ended::Compensated(StepError::Unknown { .. })), "{ended:?}");
    assert_eq!(*first.undone.lock(), [Step::Car, Step::Hotel]);
}

#[tokio::test(start_paused = true)]
async fn what_a_step_has_led_to_is_recorded_though_another_driver_goes_on_with_the_process() {
    let store = Arc::new(MemoryStore::new());
    let (first, driver) = told(&store, &[Ok(0)]);
    let mut handle = driver.start("a", 7).await.expect("started");
    first.asked(2).await;
    let (second, twin) = told(&store, &[]);
    assert_eq!(twin.resume().await.expect("readable"), 1);
    second.asked(1).await;
    first.tell([Ok(0), Ok(0), Ok(0)]);
    let ended = handle.ended().await.expect("driven");
    assert!(matches!(ended, Ended::Completed(_)), "{ended:?}");
    assert_eq!(first.asked.load(Ordering::Acquire), 3, "each step was asked for once");
}

#[tokio::test(start_paused = true)]
async fn the_caller_stops_waiting_and_the_process_goes_on() {
    // Nothing is ever known: each step is given up after two attempts.
    let (world, store) = (World::new(3, 0, 0), Arc::new(MemoryStore::new()));
    let driver = driver(&world, &store, &Fuse::new(u64::MAX), policy(Some(2)));
    let mut handle = driver.start("a", 7).await.expect("started");
    let waited = handle.ended_within(Deadline::within(Duration::from_nanos(1))).await;
    assert!(matches!(waited, Ok(None)));
    assert_eq!(driver.running(), 1);
    let ended = handle.ended().await.expect("driven");
    assert!(matches!(&ended, Ended::Compensated(StepError::Unknown { .. })), "{ended:?}");
    check_end(&world, &store, "a", &ended).await;
}

#[tokio::test(start_paused = true)]
async fn starts_join_are_bounded_and_end_with_the_driver() {
    let (world, store) = (World::new(1, 0, 0), Arc::new(MemoryStore::new()));
    let policy = Policy { running_max: 1, ..policy(None) };
    let driver = driver(&world, &store, &Fuse::new(u64::MAX), policy);
    let mut handle = driver.start("a", 7).await.expect("started");
    driver.start("a", 7).await.expect("joined");
    assert!(matches!(driver.start("b", 7).await, Err(Error::Overloaded)));
    assert_eq!(driver.running(), 1);

    let left = driver.close(Deadline::within(Duration::from_secs(60))).await;
    assert_eq!((left, driver.running()), (1, 0));
    assert!(matches!(handle.ended().await, Err(Error::Closed)));
    assert!(matches!(driver.start("c", 7).await, Err(Error::Closed)));
    assert!(matches!(driver.resume().await, Err(Error::Closed)));
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_is_paused_attempts_nothing_and_goes_on_afterwards() {
    let (world, store) = (World::new(1, 100, 0), Arc::new(MemoryStore::new()));
    let driver = driver(&world, &store, &Fuse::new(u64::MAX), policy(None));
    assert_eq!(driver.lifecycle(), Lifecycle::Initial);
    assert!(driver.pause().is_err(), "there is nothing to be paused yet");
    driver.resume().await.expect("readable");
    driver.pause().expect("it runs");

    let mut handle = driver.start("b", 7).await.expect("started");
    let ended = handle.ended_within(Deadline::within(Duration::from_secs(3600))).await;
    assert!(matches!(ended, Ok(None)));
    assert_eq!(kinds(&store, "b").await, ["trip.started"]);
    assert!(world.applied.lock().is_empty());

    driver.unpause().expect("it is paused");
    check_end(&world, &store, "b", &handle.ended().await.expect("driven")).await;

    driver.pause().expect("it runs");
    let mut waits = driver.start("c", 7).await.expect("started");
    assert_eq!(driver.close(Deadline::within(Duration::from_secs(60))).await, 1);
    assert!(matches!(waits.ended().await, Err(Error::Closed)));
    assert_eq!(driver.lifecycle(), Lifecycle::Terminated);
    let illegal = driver.unpause().expect_err("it is closed");
    assert_eq!(illegal.to_string(), "`terminated` does not allow `resume`, for it is an end");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_told() {
    let (world, store) = (World::new(1, 100, 0), Arc::new(MemoryStore::new()));
    let durable = Policy { durability: Durability::Durable, ..policy(None) };
    let driver = driver(&world, &store, &Fuse::new(u64::MAX), durable);
    let refused = driver.start("a", 7).await.err();
    assert!(matches!(refused, Some(Error::Store(store::Error::Unsupported { .. }))), "{refused:?}");
    assert!(world.applied.lock().is_empty(), "a step was done before the begin was recorded");
    until("it has given up", || driver.running() == 0).await;
}
