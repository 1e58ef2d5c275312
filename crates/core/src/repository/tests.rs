use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use futures::stream::BoxStream;
use parking_lot::Mutex;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use steadfast_base::{Class, Classify, ManualClock};

use super::{Cause, Error, JsonEvents, LoadError, Repository, Settings, Snapshotting};
use crate::snapshot::{JsonSnapshots, MemorySnapshots, SnapshotPolicy, Snapshots};
use crate::store::{
    Appended, Batch, Capabilities, Condition, Durability, EventStore, Filter, MemoryStore, Outcome, Position,
    Query, Revision, StoredEvent,
};
use crate::{Aggregate, Event};

/// Adds up numbers, and refuses what would make it greater than a hundred.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
struct Sum {
    total: u64,
    added: Vec<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Added(u64);

#[derive(Debug, PartialEq)]
struct TooMuch;

impl Aggregate for Sum {
    type Command = Vec<u64>;
    type Event = Added;
    type Error = TooMuch;

    fn decide(&self, numbers: &Vec<u64>) -> Result<Vec<Added>, TooMuch> {
        let total = numbers.iter().sum::<u64>() + self.total;
        if total > 100 { Err(TooMuch) } else { Ok(numbers.iter().copied().map(Added).collect()) }
    }

    fn evolve(&mut self, Added(number): &Added) {
        self.total += number;
        self.added.push(*number);
    }
}

type Sums = Repository<Sum, JsonEvents<fn(&Added) -> &'static str>>;

fn kind(_: &Added) -> &'static str {
    "number.added"
}

fn settings() -> Settings<Sum> {
    Settings { durability: Durability::Accepted, ..Settings::default() }
}

fn sums(store: &Arc<MemoryStore>, settings: Settings<Sum>) -> Sums {
    over(Arc::clone(store) as Arc<dyn EventStore>, settings)
}

fn over(store: Arc<dyn EventStore>, settings: Settings<Sum>) -> Sums {
    Repository::new(store, "sum-", JsonEvents::new("/sums", kind as fn(&Added) -> &'static str), settings)
}

async fn total(sums: &Sums, name: &str) -> u64 {
    sums.look(name, |sum, _| sum.total).await.expect("a readable store")
}

#[tokio::test]
async fn commands_change_the_stream_and_another_process_sees_it() {
    let store = Arc::new(MemoryStore::new());
    let sums_here = sums(&store, settings());
    let done = sums_here.execute("a", &vec![3, 4], &Cause::unknown()).await.expect("within the limit");
    assert_eq!(
        (done.events, done.revision, done.repeated),
        (vec![Added(3), Added(4)], Some(Revision(1)), false)
    );
    let refused = sums_here.execute("a", &vec![94], &Cause::unknown()).await;
    assert!(matches!(refused, Err(Error::Refused(TooMuch))), "{refused:?}");
    let nothing = sums_here.execute("a", &vec![], &Cause::unknown()).await.expect("nothing to do");
    assert_eq!((nothing.events, nothing.revision), (vec![], Some(Revision(1))));

    let there = sums(&store, settings());
    assert_eq!(
        there.look("a", |sum, revision| (sum.added.clone(), revision)).await.ok(),
        Some((vec![3, 4], Some(Revision(1))))
    );
    there.execute("a", &vec![5], &Cause::unknown()).await.expect("within the limit");
    // This one does not know of it yet, and finds out when it appends, or when it is told to look.
    assert_eq!(total(&sums_here, "a").await, 7);
    sums_here.refresh("a").await.expect("a readable store");
    assert_eq!(total(&sums_here, "a").await, 12);
    there.execute("a", &vec![5], &Cause::unknown()).await.expect("within the limit");
    let refused = sums_here.execute("a", &vec![84], &Cause::unknown()).await;
    assert!(matches!(refused, Err(Error::Refused(TooMuch))), "decided on what the store holds: {refused:?}");
    assert_eq!(sums_here.metrics().conflicts, 1);
    assert_eq!(total(&sums_here, "b").await, 0);
}

#[tokio::test]
async fn a_repeated_command_is_recognised_everywhere_and_its_key_serves_no_other() {
    let store = Arc::new(MemoryStore::new());
    let cause = Cause::key("k").fingerprint("add 1, 2");
    let first = sums(&store, settings());
    let done = first.execute("a", &vec![1, 2], &cause).await.expect("within the limit");
    first.execute("a", &vec![9], &Cause::key("other")).await.expect("within the limit");
    for sums in [&first, &sums(&store, settings())] {
        let again = sums.execute("a", &vec![1, 2], &cause).await.expect("it was carried out");
        assert!(
            again.repeated && again.events == done.events && again.revision == done.revision,
            "{again:?}"
        );
        let other = sums.execute("a", &vec![3], &Cause::key("k").fingerprint("add 3")).await;
        assert!(matches!(&other, Err(Error::KeyReused { key }) if &**key == "k"), "{other:?}");
        assert_eq!(total(sums, "a").await, 12);
    }
    assert_eq!(first.metrics().repeated, 1);
}

#[tokio::test]
async fn a_refusal_rests_on_what_the_store_holds() {
    let store = Arc::new(MemoryStore::new());
    let [here, there] = [(); 2].map(|()| sums(&store, settings()));
    here.execute("a", &vec![60], &Cause::unknown()).await.expect("within the limit");
    there.execute("a", &vec![30], &Cause::key("k").fingerprint("add 30")).await.expect("within the limit");
    // By what is known here it would be too much; the truth is that the key belongs to another command.
    let other = here.execute("a", &vec![41], &Cause::key("k").fingerprint("add 41")).await;
    assert!(matches!(other, Err(Error::KeyReused { .. })), "{other:?}");
    assert_eq!(total(&here, "a").await, 90);
}

#[tokio::test]
async fn only_the_newest_keys_are_kept() {
    let store = Arc::new(MemoryStore::new());
    let sums = sums(&store, Settings { keys_max: 2, ..settings() });
    for key in ["1", "2", "3"] {
        sums.execute("a", &vec![1], &Cause::key(key)).await.expect("within the limit");
    }
    for (key, repeated) in [("3", true), ("2", true), ("1", false)] {
        let again = sums.execute("a", &vec![1], &Cause::key(key)).await.expect("within the limit");
        assert_eq!(again.repeated, repeated, "{key}");
    }
}

#[tokio::test]
async fn writers_in_several_processes_lose_nothing_and_pass_no_limit() {
    let store = Arc::new(MemoryStore::new());
    let processes: Vec<_> =
        (0..4).map(|_| sums(&store, Settings { conflicts_max: 100, ..settings() })).collect();
    let commands = processes.iter().enumerate().flat_map(|(process, sums)| {
        (0..40).map(move |number| async move {
            let key = Cause::key(format!("{process}-{number}"));
            tokio::task::yield_now().await;
            sums.execute("a", &vec![1], &key).await.is_ok()
        })
    });
    let done = join_all(commands).await.into_iter().filter(|done| *done).count();
    assert_eq!(done, 100, "a hundred fit, and no more");
    let fresh = sums(&store, settings());
    assert_eq!(total(&fresh, "a").await, 100);
}

#[tokio::test]
async fn as_many_as_may_wait_wait_and_no_more() {
    let store = Arc::new(Held { inner: MemoryStore::new(), ..Held::default() });
    let sums = over(Arc::clone(&store) as Arc<dyn EventStore>, Settings { waiting_max: 2, ..settings() });
    let command = vec![1];
    let cause = Cause::unknown();
    store.hold(true);
    let mut first = Box::pin(sums.execute("a", &command, &cause));
    let mut second = Box::pin(sums.execute("a", &command, &cause));
    assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
    let third = sums.execute("a", &command, &cause).now_or_never().expect("at once");
    assert!(matches!(third, Err(Error::Crowded { .. })), "{third:?}");
    assert_eq!(third.err().map(|error| error.classify()), Some(Class::Transient));
    store.hold(false);
    let other = sums.execute("b", &command, &cause).await;
    assert!(other.is_ok(), "another aggregate does not wait: {other:?}");
    drop(first);
    assert!(second.await.is_ok());
}

#[tokio::test]
async fn an_append_that_was_given_up_is_found_in_the_stream() {
    let store = Arc::new(Held { inner: MemoryStore::new(), ..Held::default() });
    let sums = over(Arc::clone(&store) as Arc<dyn EventStore>, settings());
    for appended in [true, false] {
        store.appends_before_it_holds.lock().clone_from(&appended);
        store.hold(true);
        let cause = Cause::key(format!("{appended}"));
        assert!(sums.execute("a", &vec![1], &cause).now_or_never().is_none(), "it hangs and is dropped");
        store.hold(false);
        let again = sums.execute("a", &vec![1], &cause).await.expect("within the limit");
        assert_eq!(again.repeated, appended);
    }
    assert_eq!(total(&sums, "a").await, 2);
}

#[tokio::test]
async fn a_cache_that_is_full_forgets_and_loads_again() {
    let store = Arc::new(MemoryStore::new());
    let small = sums(&store, Settings { cache_bytes_max: 40_000, ..settings() });
    for round in 0..3 {
        for name in 0..500 {
            small.execute(&name.to_string(), &vec![1], &Cause::unknown()).await.expect("within the limit");
            assert_eq!(total(&small, &name.to_string()).await, round + 1);
        }
        let metrics = small.metrics();
        assert!(metrics.cached_bytes <= 40_000 && metrics.cached < 250, "{metrics:?}");
        assert!(metrics.loads > 400 * (round + 1), "{metrics:?}");
    }
}

#[tokio::test]
async fn snapshots_save_replaying_and_one_that_does_not_fit_is_dropped() {
    let (store, place) = (Arc::new(MemoryStore::new()), Arc::new(MemorySnapshots::new()));
    let clock = Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH));
    let with = |version, policy| {
        let place = Arc::clone(&place) as Arc<dyn Snapshots>;
        let snapshots = Some(Snapshotting { codec: Arc::new(JsonSnapshots::new(version)), place, policy });
        Settings { snapshots, clock: Arc::clone(&clock) as _, ..settings() }
    };
    let first = sums(&store, with(1, SnapshotPolicy::every_events(10)));
    for number in 0..25 {
        first.execute("a", &vec![1], &Cause::key(number.to_string())).await.expect("within the limit");
    }
    assert_eq!(first.metrics().snapshots, 2);

    let second = sums(&store, with(1, SnapshotPolicy::default()));
    assert_eq!(total(&second, "a").await, 25);
    assert_eq!(second.metrics().replayed, 5, "the rest is in the snapshot");
    let again = second.execute("a", &vec![1], &Cause::key("3")).await.expect("it was carried out");
    assert!(again.repeated && again.events == [Added(1)], "keys are in the snapshot too");

    let newer = sums(&store, with(2, SnapshotPolicy::default()));
    assert_eq!(total(&newer, "a").await, 25);
    assert_eq!((newer.metrics().replayed, newer.metrics().snapshots_dropped), (25, 1));
    assert!(place.is_empty());

    let by_age = SnapshotPolicy { every: Some(Duration::from_secs(60)), ..SnapshotPolicy::default() };
    let aging = sums(&store, with(2, by_age));
    clock.advance(Duration::from_secs(100 * 365 * 24 * 3600));
    aging.execute("a", &vec![1], &Cause::unknown()).await.expect("within the limit");
    aging.execute("a", &vec![1], &Cause::unknown()).await.expect("within the limit");
    assert_eq!(aging.metrics().snapshots, 1, "of an old event, then not again");

    // A store that was put back to an older copy.
    let empty = Arc::new(MemoryStore::new());
    let restored = sums(&empty, with(2, SnapshotPolicy::default()));
    assert_eq!(total(&restored, "a").await, 0, "a snapshot is never the truth");
}

#[tokio::test]
async fn a_probe_shows_a_repository_and_does_not_keep_it() {
    let store = Arc::new(MemoryStore::new());
    let sums = sums(&store, settings());
    let probe = sums.probe("sums");
    sums.execute("a", &vec![1], &Cause::unknown()).await.expect("within the limit");
    assert_eq!((probe.name(), probe.snapshot()), ("sums", sums.metrics()));
    assert_eq!((probe.snapshot().executed, probe.snapshot().cached), (1, 1));
    drop(sums);
    assert_eq!((probe.snapshot().executed, probe.snapshot().cached), (1, 0));
    assert_eq!(Arc::strong_count(&store), 1);
}

#[tokio::test]
async fn an_event_of_another_kind_is_named() {
    let store = Arc::new(MemoryStore::new());
    let strange = Event::new("/x", "strange").data("text/plain", "x");
    store
        .append(Batch::to_stream("sum-a", [strange]), Condition::Any, Durability::Accepted)
        .await
        .expect("room");
    let error = sums(&store, settings()).look("a", |_, _| ()).await.expect_err("it cannot be read");
    assert!(matches!(error, LoadError::NotDecoded { .. }));
    assert!(
        error.to_string().starts_with("event 0 of stream `sum-a`, of type `strange`, cannot be read"),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever two processes do in turn, with keys that repeat, with snapshots and with a cache too small: each
    /// command is carried out once, and all agree.
    #[test]
    fn commands_are_carried_out_once(
        steps in prop::collection::vec((0_usize..2, 0_u8..3, 0_u64..20, 0_u8..12), 1..60),
        every in 1_u64..5,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let (store, place) = (Arc::new(MemoryStore::new()), Arc::new(MemorySnapshots::new()));
            let processes = [0, 1].map(|process| {
                let snapshots = Snapshotting {
                    codec: Arc::new(JsonSnapshots::new(1)),
                    place: Arc::clone(&place) as Arc<dyn Snapshots>,
                    policy: SnapshotPolicy::every_events(every),
                };
                let cache_bytes_max = if process == 0 { 1 } else { 1 << 20 };
                sums(&store, Settings { snapshots: Some(snapshots), cache_bytes_max, ..settings() })
            });
            let mut model: std::collections::HashMap<u8, Sum> = std::collections::HashMap::new();
            let mut keys = std::collections::HashMap::new();
            for (process, name, number, key) in steps {
                let expected = model.entry(name).or_default();
                // A key is an aggregate's own.
                let known = keys.get(&(name, key)).copied();
                let cause = Cause::key(key.to_string()).fingerprint(number.to_string());
                let done = processes[process].execute(&name.to_string(), &vec![number], &cause).await;
                match (known, expected.decide(&vec![number])) {
                    (Some(before), _) if before != number => {
                        prop_assert!(matches!(done, Err(Error::KeyReused { .. })), "{:?}", done);
                    }
                    (Some(_), _) => prop_assert!(done.is_ok_and(|done| done.repeated)),
                    (None, Err(TooMuch)) => prop_assert!(matches!(done, Err(Error::Refused(TooMuch))), "{:?}", done),
                    (None, Ok(events)) => {
                        prop_assert_eq!(done.ok().map(|done| (done.events, done.repeated)), Some((events.clone(), false)));
                        events.iter().for_each(|event| expected.evolve(event));
                        keys.insert((name, key), number);
                    }
                }
            }
            for (name, expected) in &model {
                for sums in &processes {
                    sums.refresh(&name.to_string()).await.expect("a readable store");
                    let found = sums.look(&name.to_string(), |sum, _| sum.clone()).await;
                    prop_assert_eq!(found.ok(), Some(expected.clone()));
                }
            }
            Ok(())
        })?;
    }
}

/// A store whose appends hang when told to, before or after they have been done.
#[derive(Default)]
struct Held {
    inner: MemoryStore,
    held: Mutex<bool>,
    appends_before_it_holds: Mutex<bool>,
    freed: tokio::sync::Notify,
}

impl Held {
    fn hold(&self, held: bool) {
        *self.held.lock() = held;
        self.freed.notify_waiters();
    }
}

impl EventStore for Held {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn append(
        &self,
        batch: Batch,
        condition: Condition,
        durability: Durability,
    ) -> BoxFuture<'_, Result<Appended, crate::store::Error>> {
        Box::pin(async move {
            let held = *self.held.lock();
            if !held {
                return self.inner.append(batch, condition, durability).await;
            }
            let early = *self.appends_before_it_holds.lock();
            let done = if early {
                Some(self.inner.append(batch.clone(), condition.clone(), durability).await)
            } else {
                None
            };
            self.freed.notified().await;
            match done {
                Some(done) => done,
                None => self.inner.append(batch, condition, durability).await,
            }
        })
    }

    fn read(&self, query: Query) -> BoxStream<'_, Result<StoredEvent, crate::store::Error>> {
        self.inner.read(query)
    }

    fn subscribe(
        &self,
        filter: Filter,
        after: Position,
    ) -> BoxStream<'_, Result<StoredEvent, crate::store::Error>> {
        self.inner.subscribe(filter, after)
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, crate::store::Error>> {
        self.inner.head()
    }

    fn revision<'a>(
        &'a self,
        stream: &'a str,
    ) -> BoxFuture<'a, Result<Option<Revision>, crate::store::Error>> {
        self.inner.revision(stream)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), crate::store::Error>> {
        self.inner.close()
    }
}

#[test]
fn an_outcome_that_is_unknown_is_told() {
    let io = crate::store::Error::io("writing", std::io::Error::other("x"), Outcome::Unknown);
    let error: Error<TooMuch> = Error::Store(io);
    assert!(matches!(error, Error::Store(error) if error.outcome() == Outcome::Unknown));
}
