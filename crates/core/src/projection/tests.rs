use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use proptest::prelude::*;
use steadfast_base::{ManualClock, Rng, Seed};

use super::{ApplyError, Error, MemoryView, Poison, ProjectionMetrics, Projector, Settings, View, ViewError};
use crate::Event;
use crate::delivery::{DeadLetters, LetterQuery, MemoryDeadLetters};
use crate::patience;
use crate::store::{Batch, Condition, Durability, EventStore, Filter, MemoryStore, Position, StoredEvent};

async fn append(store: &MemoryStore, kinds: &[&str]) {
    let events = kinds.iter().map(|kind| Event::new("/projection", *kind).build());
    let batch = Batch::to_stream("s", events);
    store.append(batch, Condition::Any, Durability::Accepted).await.expect("room");
}

/// Waits until `metrics` are as asked.
async fn until(
    projector: &Projector<Kinds>,
    is_so: impl Fn(&ProjectionMetrics) -> bool,
) -> ProjectionMetrics {
    for _ in 0..10_000 {
        let metrics = projector.metrics();
        if is_so(&metrics) {
            return metrics;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it is never so: {:?}", projector.metrics());
}

/// Collects the types of events; those of type `bad` cannot be applied.
type Kinds = MemoryView<Vec<String>, fn(&mut Vec<String>, &StoredEvent) -> Result<(), &'static str>>;

fn kinds() -> Arc<Kinds> {
    Arc::new(MemoryView::new(vec![], |kinds, stored| {
        if stored.event.kind() == "bad" {
            return Err("it is bad");
        }
        kinds.push(stored.event.kind().to_owned());
        Ok(())
    }))
}

fn settings(poison: Poison) -> Settings {
    Settings { poison, seed: Seed::new(7), ..Settings::default() }
}

#[tokio::test(start_paused = true)]
async fn a_view_has_what_was_stored_and_what_comes() {
    let store = Arc::new(MemoryStore::new());
    append(&store, &["a", "b"]).await;
    let projector = Projector::new("kinds", Arc::clone(&store) as _, kinds(), settings(Poison::Stop));
    let (run, rest) = (projector.run(), async {
        append(&store, &["c"]).await;
        patience::until("all is applied", || projector.metrics().applied >= 3).await;
        assert!(projector.lag().await.expect("readable").is_caught_up());
        store.close().await.expect("closed");
    });
    let (ended, ()) = tokio::join!(run, rest);
    assert!(ended.is_ok(), "{ended:?}");
    assert_eq!(projector.view().look(Clone::clone), ["a", "b", "c"]);
}

#[tokio::test]
async fn the_filter_decides_and_lag_is_told() {
    let store = Arc::new(MemoryStore::new());
    let clock = Arc::new(ManualClock::at(SystemTime::now() + Duration::from_secs(3600)));
    let filter = Filter { kinds: vec!["a".into()], ..Filter::default() };
    let settings = Settings { filter, clock, ..settings(Poison::Stop) };
    let projector = Projector::new("kinds", Arc::clone(&store) as _, kinds(), settings);
    append(&store, &["b", "a", "b", "a"]).await;
    let lag = projector.lag().await.expect("readable");
    assert_eq!((lag.position, lag.next), (Position::START, Some(Position::from_parts(2, 0))));
    assert!(lag.age > Duration::from_secs(3590) && !lag.is_caught_up(), "{lag:?}");
    projector.catch_up().await.expect("applied");
    assert_eq!(projector.view().look(Clone::clone), ["a", "a"]);
    assert!(projector.lag().await.expect("readable").is_caught_up());
}

#[tokio::test(start_paused = true)]
async fn metrics_tell_the_lag_by_what_a_run_has_seen() {
    let store = Arc::new(MemoryStore::new());
    append(&store, &["a", "bad", "b"]).await;
    let clock = Arc::new(ManualClock::at(SystemTime::now() + Duration::from_secs(3600)));
    let filter = Filter { kinds: vec!["a".into(), "bad".into()], ..Filter::default() };
    let stops = Settings { clock, filter, ..settings(Poison::Stop) };
    let projector = Projector::new("kinds", Arc::clone(&store) as _, kinds(), stops.clone());
    let probe = projector.probe();
    assert_eq!((probe.name(), probe.snapshot().lag), ("kinds", None), "nobody has looked");

    // What cannot be applied is the next; nothing runs then, and what was told becomes old.
    assert!(projector.run().await.is_err(), "it is poisoned");
    projector.lag().await.expect("readable");
    tokio::time::advance(Duration::from_secs(30)).await;
    let metrics = probe.snapshot();
    let lag = metrics.lag.expect("somebody has looked");
    assert_eq!((lag.position.parts().0, lag.next), (1, Some(Position::from_parts(2, 0))));
    assert!(lag.age > Duration::from_secs(3590), "{lag:?}");
    assert_eq!(metrics.lag_told_ago, Some(Duration::from_secs(30)));

    // A run looks by itself, and again.
    let projector =
        Projector::new("kinds", Arc::clone(&store) as _, kinds(), Settings { poison: Poison::Skip, ..stops });
    let rest = async {
        let caught_up = |metrics: &ProjectionMetrics| {
            metrics.lag.is_some_and(|lag| lag.is_caught_up() && lag.position == Position::from_parts(2, 0))
        };
        until(&projector, caught_up).await;
        append(&store, &["b", "a"]).await;
        let later = Position::from_parts(5, 0);
        until(&projector, |metrics| metrics.lag.is_some_and(|lag| lag.position == later)).await;
        assert!(projector.metrics().lag_told_ago.is_some_and(|ago| ago <= Duration::from_secs(2)));
        store.close().await.expect("closed");
    };
    let (ended, ()) = tokio::join!(projector.run(), rest);
    assert!(ended.is_ok(), "{ended:?}");
    drop(projector);
    assert_eq!(probe.snapshot().failures, 1, "a probe outlives what it shows");
}

#[tokio::test]
async fn a_batch_ends_where_it_has_the_bytes() {
    let store = Arc::new(MemoryStore::new());
    append(&store, &["a"; 40]).await;
    let settings = Settings { batch_bytes_max: 1, ..settings(Poison::Stop) };
    let projector = Projector::new("kinds", Arc::clone(&store) as _, kinds(), settings);
    projector.catch_up().await.expect("applied");
    assert_eq!((projector.metrics().applied, projector.metrics().batches), (40, 40));
}

#[tokio::test]
async fn each_policy_treats_an_event_that_cannot_be_applied_as_stated() {
    let letters = Arc::new(MemoryDeadLetters::new(10));
    for (poison, applied, skipped) in [
        (Poison::Stop, vec!["a"], 0),
        (Poison::Skip, vec!["a", "b", "c"], 2),
        (Poison::DeadLetter(Arc::clone(&letters) as _), vec!["a", "b", "c"], 2),
    ] {
        let store = Arc::new(MemoryStore::new());
        append(&store, &["a", "bad", "b", "bad", "c"]).await;
        let projector = Projector::new("kinds", Arc::clone(&store) as _, kinds(), settings(poison.clone()));
        let ended = projector.catch_up().await;
        match poison {
            Poison::Stop => assert!(
                matches!(&ended, Err(Error::Poisoned { position, reason, .. })
                    if *position == Position::from_parts(2, 0) && reason == "it is bad"),
                "{ended:?}"
            ),
            _ => assert!(ended.is_ok(), "{ended:?}"),
        }
        assert_eq!(projector.view().look(Clone::clone), applied);
        assert_eq!(projector.metrics().skipped, skipped);
        assert_eq!(projector.view().skipped().len() as u64, skipped);
    }
    let kept = letters.list(&LetterQuery::default()).await.expect("readable");
    assert_eq!(kept.len(), 2);
    assert_eq!(&*kept[0].subscriber, "kinds");
}

#[tokio::test(start_paused = true)]
async fn a_new_view_is_built_beside_the_old_one_and_takes_its_place() {
    let store = Arc::new(MemoryStore::new());
    append(&store, &["a"; 1000]).await;
    let projector = Projector::new("kinds", Arc::clone(&store) as _, kinds(), settings(Poison::Stop));
    let (old, fresh) = (projector.view(), kinds());
    let wait = |count: usize, view: Arc<Kinds>| async move {
        patience::until("all is seen", || view.look(Vec::len) >= count).await;
    };
    let (run, rest) = (projector.run(), async {
        wait(1000, Arc::clone(&old)).await;
        let replaced = projector.rebuild(Arc::clone(&fresh)).await.expect("rebuilt");
        assert!(Arc::ptr_eq(&replaced, &old) && Arc::ptr_eq(&projector.view(), &fresh));
        append(&store, &["b"; 10]).await;
        wait(1010, Arc::clone(&fresh)).await;
        store.close().await.expect("closed");
    });
    let (ended, ()) = tokio::join!(run, rest);
    assert!(ended.is_ok(), "{ended:?}");
    assert_eq!((old.look(Vec::len), projector.metrics().switches), (1000, 1), "the old one is left alone");
}

#[tokio::test]
async fn a_rebuild_that_fails_leaves_the_view_that_is_read() {
    let store = Arc::new(MemoryStore::new());
    append(&store, &["a", "bad"]).await;
    let projector = Projector::new("kinds", Arc::clone(&store) as _, kinds(), settings(Poison::Stop));
    let old = projector.view();
    assert!(projector.rebuild(kinds()).await.is_err());
    assert!(Arc::ptr_eq(&projector.view(), &old));
}

#[tokio::test(start_paused = true)]
async fn a_place_that_fails_is_tried_again_and_given_up_in_the_end() {
    let store = Arc::new(MemoryStore::new());
    append(&store, &["a"]).await;
    let view = Arc::new(Shaky { down: AtomicBool::new(true), ..Shaky::new(0) });
    let projector =
        Projector::new("shaky", Arc::clone(&store) as _, Arc::clone(&view), settings(Poison::Stop));
    let ended = projector.catch_up().await;
    assert!(matches!(&ended, Err(Error::View { source, .. }) if source.retryable), "{ended:?}");
    view.down.store(false, Ordering::SeqCst);
    projector.catch_up().await.expect("it is back");
    assert_eq!(view.applied(), [1]);
}

/// A view of which batches are all or nothing, or stop in the middle, and whose place fails at random.
struct Shaky {
    state: Mutex<(Vec<u64>, Position)>,
    rng: Mutex<Rng>,
    /// How many of a hundred calls fail before and after they have done their work.
    fails: u64,
    /// What cannot be applied: positions that this divides; none if it is 0.
    poison_every: u64,
    partial: bool,
    /// One of how many calls makes a copy of the view or restores it from the last one; none if it is 0.
    back_every: u64,
    copy: Mutex<(Vec<u64>, Position)>,
    down: AtomicBool,
}

impl Shaky {
    fn new(seed: u64) -> Self {
        Self {
            state: Mutex::new((vec![], Position::START)),
            rng: Mutex::new(Seed::new(seed).rng()),
            fails: 0,
            poison_every: 0,
            partial: false,
            back_every: 0,
            copy: Mutex::new((vec![], Position::START)),
            down: AtomicBool::new(false),
        }
    }

    fn applied(&self) -> Vec<u64> {
        self.state.lock().0.clone()
    }

    /// Does now and then what a database does that is restored from a copy, or has lost what it had committed.
    fn go_back(&self) {
        let mut rng = self.rng.lock();
        if self.back_every == 0 || rng.below(self.back_every) > 0 {
            return;
        }
        let (mut state, mut copy) = (self.state.lock(), self.copy.lock());
        if rng.below(2) == 0 {
            *copy = state.clone();
        } else {
            *state = copy.clone();
        }
    }

    fn fails(&self) -> Result<(), ViewError> {
        if self.down.load(Ordering::SeqCst) || self.rng.lock().below(100) < self.fails {
            return Err(ViewError::transient("told to"));
        }
        Ok(())
    }
}

impl View for Shaky {
    fn position(&self) -> BoxFuture<'_, Result<Position, ViewError>> {
        Box::pin(async {
            self.fails()?;
            Ok(self.state.lock().1)
        })
    }

    fn apply<'a>(
        &'a self,
        after: Position,
        events: &'a [StoredEvent],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            self.fails()?;
            tokio::task::yield_now().await;
            self.go_back();
            {
                let mut state = self.state.lock();
                let (mut view, mut position) = state.clone();
                ApplyError::check(position, after)?;
                for (index, event) in events.iter().enumerate() {
                    let number = event.position.parts().0;
                    if self.poison_every > 0 && number.is_multiple_of(self.poison_every) {
                        if self.partial {
                            *state = (view, position);
                        }
                        return Err(ApplyError::Event {
                            index,
                            reason: "poison".to_owned(),
                            retryable: number % 2 == 0,
                        });
                    }
                    view.push(number);
                    position = event.position;
                }
                *state = (view, position);
            }
            tokio::task::yield_now().await;
            // Done, and not told.
            Ok(self.fails()?)
        })
    }

    fn skip<'a>(
        &'a self,
        after: Position,
        event: &'a StoredEvent,
        _: &'a str,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            self.fails()?;
            self.go_back();
            {
                let mut state = self.state.lock();
                ApplyError::check(state.1, after)?;
                state.1 = event.position;
            }
            Ok(self.fails()?)
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    /// Whatever fails, wherever a run is dropped, and also where the view is restored from a copy meanwhile: each event
    /// that can be applied is, once and in order.
    #[test]
    fn each_event_counts_once(
        seed: u64,
        fails in 0_u64..40,
        poison_every in 0_u64..8,
        partial: bool,
        back_every in prop_oneof![Just(0_u64), 6_u64..20],
        batch_max in 1_usize..20,
        steps in prop::collection::vec((1_usize..12, 0_usize..40), 1..10),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let store = Arc::new(MemoryStore::new());
            let view = Arc::new(Shaky { fails, poison_every, partial, back_every, ..Shaky::new(seed) });
            let settings = Settings { batch_max, attempts_max: 40, ..settings(Poison::Skip) };
            let projector = Projector::new("shaky", Arc::clone(&store) as _, Arc::clone(&view), settings);
            let mut count = 0;
            for (events, polls) in steps {
                append(&store, &vec!["e"; events]).await;
                count += events as u64;
                let mut run = Box::pin(projector.run());
                for _ in 0..polls {
                    prop_assert!(run.as_mut().now_or_never().is_none(), "it goes on");
                    tokio::task::yield_now().await;
                    tokio::time::advance(Duration::from_millis(50)).await;
                }
                drop(run);
            }
            projector.catch_up().await.expect("everything passes in the end");
            let expected: Vec<_> =
                (1..=count).filter(|number| poison_every == 0 || !number.is_multiple_of(poison_every)).collect();
            prop_assert_eq!(view.applied(), expected);
            Ok(())
        })?;
    }
}
