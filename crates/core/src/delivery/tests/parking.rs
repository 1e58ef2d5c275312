//! Dead letters under order `PerKey`: their keys are parked, come back in order, and stay parked over a restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::feed::Feed;
use super::{Failure, PATIENCE, handling};
use crate::delivery::{
    Cause, DeadLetters, Delivery, Dispatcher, Fate, Handling, LetterQuery, MemoryDeadLetters, Message, Order,
    Parking, Replay, Settled, StoredDeadLetters, WhenFull,
};
use crate::patience::until;
use crate::store::{Durability, MemoryStore};
use crate::{Event, NotUpcast, Upcast};

/// Number `n` is of key `n % 10`.
fn keyed(numbers: impl IntoIterator<Item = u64>) -> impl Iterator<Item = Message<u64>> {
    let message = |number: u64| Message::new(number).key(number.to_string());
    numbers.into_iter().map(move |number| message(number).partition_key((number % 10).to_string()))
}

/// A dispatcher whose handler refuses number 1 as long as it is told to.
struct Bench {
    feed: Arc<Feed>,
    dispatcher: Dispatcher<u64, Feed>,
    refuse: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<u64>>>,
    run: JoinHandle<()>,
}

impl Bench {
    fn start(handling: Handling<u64>) -> Self {
        let feed = Arc::new(Feed::default());
        let dispatcher = Dispatcher::new(Arc::clone(&feed), "numbers", "test", handling);
        let (refuse, seen) = (Arc::new(AtomicBool::new(true)), Arc::new(Mutex::new(Vec::new())));
        let run = {
            let (dispatcher, refuse, seen) = (dispatcher.clone(), Arc::clone(&refuse), Arc::clone(&seen));
            let handler = move |delivery: Delivery<u64>| {
                let number = *delivery.payload();
                let refused = number == 1 && refuse.load(Ordering::SeqCst);
                if !refused {
                    seen.lock().push(number);
                }
                async move { if refused { Err(Failure("permanent")) } else { Ok(()) } }
            };
            tokio::spawn(async move { dispatcher.run_fn(handler).await })
        };
        Self { feed, dispatcher, refuse, seen, run }
    }

    fn push(&self, numbers: impl IntoIterator<Item = u64>) {
        keyed(numbers).for_each(|message| self.feed.push(message));
    }

    /// Lets everything happen that can.
    async fn settle(&self) {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }

    fn seen(&self) -> Vec<u64> {
        std::mem::take(&mut *self.seen.lock())
    }

    async fn end(self) {
        self.feed.end();
        tokio::time::timeout(PATIENCE, self.run).await.expect("it ends").expect("it does not panic");
    }
}

fn with(letters: &Arc<MemoryDeadLetters<u64>>, parking: Parking) -> Handling<u64> {
    Handling { dead_letters: Arc::clone(letters) as _, parking, ..handling(Order::PerKey) }
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_parks_its_key_alone_and_replay_brings_it_back_in_order() {
    let letters = Arc::new(MemoryDeadLetters::new(100));
    let bench = Bench::start(with(&letters, Parking::default()));
    bench.push([1, 2, 11, 12, 21]);
    bench.settle().await;
    assert_eq!(bench.seen(), [2, 12]);
    assert_eq!(bench.feed.with(Settled::Dead), [1]);
    assert_eq!(bench.feed.with(Settled::Parked), [11, 21]);
    let metrics = bench.dispatcher.metrics();
    assert_eq!((metrics.dead, metrics.parked, metrics.handled), (1, 2, 2));

    // As long as the first fails again, those behind it stay.
    let replayed = bench.dispatcher.replay(Replay::All).await.expect("memory answers");
    assert_eq!((replayed.handled, replayed.failed), (0, 1));
    bench.push([31]);
    bench.settle().await;
    assert!(bench.seen().is_empty());
    let first =
        letters.list(&LetterQuery { limit: 1, ..LetterQuery::default() }).await.expect("memory answers");
    assert!(matches!(first[0].fate, Fate::Dead { attempts: 2, .. }), "{:?}", first[0].fate);

    bench.refuse.store(false, Ordering::SeqCst);
    let replayed = bench.dispatcher.replay(Replay::Key("1".into())).await.expect("memory answers");
    assert_eq!((replayed.handled, replayed.failed), (4, 0));
    bench.push([41]);
    bench.settle().await;
    assert_eq!(bench.seen(), [1, 11, 21, 31, 41]);
    assert_eq!(bench.dispatcher.metrics().replayed, 4);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn messages_that_come_while_a_key_is_replayed_are_handled_behind_its_letters() {
    let letters = Arc::new(MemoryDeadLetters::new(1_000));
    let bench = Bench::start(with(&letters, Parking::default()));
    bench.push([1, 11, 21]);
    bench.settle().await;
    bench.refuse.store(false, Ordering::SeqCst);
    let send = async {
        for number in 3..60 {
            bench.push([number * 10 + 1]);
            tokio::task::yield_now().await;
        }
    };
    let (replayed, ()) = tokio::join!(bench.dispatcher.replay(Replay::All), send);
    assert_eq!(replayed.expect("memory answers").failed, 0);
    bench.settle().await;
    assert_eq!(bench.seen(), (0..60).map(|n| n * 10 + 1).collect::<Vec<_>>());
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn parking_is_bounded_and_what_then_is_a_matter_of_policy() {
    for (full, parked, dead, seen) in [
        (WhenFull::Wait, vec![11, 21], vec![1], vec![]),
        (WhenFull::DeadLetter, vec![11, 21], vec![1, 31, 41], vec![]),
        (WhenFull::Pass, vec![11, 21], vec![1], vec![31, 41]),
    ] {
        let letters = Arc::new(MemoryDeadLetters::new(100));
        for parking in
            [Parking { per_key_max: 2, total_max: 99, full }, Parking { per_key_max: 99, total_max: 2, full }]
        {
            let bench = Bench::start(with(&letters, parking));
            bench.push([1, 11, 21, 31, 41]);
            bench.settle().await;
            assert_eq!(bench.feed.with(Settled::Parked), parked, "{full:?}");
            assert_eq!(bench.feed.with(Settled::Dead), dead, "{full:?}");
            assert_eq!(bench.seen(), seen, "{full:?}");
            bench.push([2]);
            bench.settle().await;
            assert_eq!(bench.seen(), [2], "other keys go on");
            bench.refuse.store(false, Ordering::SeqCst);
            bench.dispatcher.replay(Replay::All).await.expect("memory answers");
            bench.settle().await;
            let rest = if full == WhenFull::Pass { vec![1, 11, 21] } else { vec![1, 11, 21, 31, 41] };
            assert_eq!(bench.seen(), rest, "{full:?}");
            bench.end().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_replay_that_is_dropped_leaves_its_key_parked() {
    let letters = Arc::new(MemoryDeadLetters::new(100));
    let bench = Bench::start(with(&letters, Parking::default()));
    bench.push([1, 11]);
    bench.settle().await;
    // It is dropped when it has given the first letter to the handler.
    assert!(futures::FutureExt::now_or_never(bench.dispatcher.replay(Replay::All)).is_none());
    bench.push([21]);
    bench.settle().await;
    assert!(bench.seen().is_empty());
    bench.refuse.store(false, Ordering::SeqCst);
    bench.dispatcher.replay(Replay::All).await.expect("memory answers");
    assert_eq!(bench.seen(), [1, 11, 21]);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn dead_letters_without_order_are_replayed_too() {
    for order in [Order::Total, Order::None] {
        let letters = Arc::new(MemoryDeadLetters::new(100));
        let bench = Bench::start(Handling { order, ..with(&letters, Parking::default()) });
        bench.push([1, 11]);
        bench.settle().await;
        assert_eq!(bench.seen(), [11]);
        bench.refuse.store(false, Ordering::SeqCst);
        let replayed = bench.dispatcher.replay(Replay::All).await.expect("memory answers");
        assert_eq!((replayed.handled, replayed.failed), (1, 0));
        assert_eq!(bench.seen(), [1]);
        bench.end().await;
    }
}

struct Orders;

impl Upcast for Orders {
    fn upcast(&self, event: Event) -> Result<Event, NotUpcast> {
        match event.kind() {
            "lost" => Err(NotUpcast::new("no step from `lost`")),
            _ => Ok(Event::restore(event.id(), event.source(), "today", event.time())
                .subject(event.subject().unwrap_or_default())
                .build()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn keys_stay_parked_over_a_restart_and_letters_are_replayed_in_the_form_of_today() {
    let store = Arc::new(MemoryStore::new());
    let event = |kind: &str, key: &str| Message::of_event(Event::new("/test", kind).subject(key).build());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let run = async |messages: Vec<Message<Event>>, refuse: bool, replay: bool| {
        let letters = StoredDeadLetters::open(Arc::clone(&store) as _, "test", 100, Durability::Accepted);
        let letters = Arc::new(letters.await.expect("memory answers"));
        let handling = Handling::<Event> {
            order: Order::PerKey,
            dead_letters: Arc::clone(&letters) as _,
            upcast: Some(Arc::new(Orders)),
            ..Handling::default()
        };
        let feed = Arc::new(Feed::<Event>::default());
        messages.into_iter().for_each(|message| feed.push(message));
        let dispatcher = Dispatcher::new(Arc::clone(&feed), "orders", "test", handling);
        let handler = |delivery: Delivery<Event>| {
            let seen = Arc::clone(&seen);
            async move {
                if refuse && delivery.payload().kind() == "bad" {
                    return Err(Failure("permanent"));
                }
                let event = delivery.payload();
                seen.lock().push((event.kind().to_owned(), event.subject().map(str::to_owned)));
                Ok(())
            }
        };
        let work = async {
            let mut replayed = None;
            if replay {
                replayed = Some(dispatcher.replay(Replay::All).await.expect("memory answers"));
            }
            feed.end();
            replayed
        };
        let (replayed, ()) = tokio::join!(work, dispatcher.run_fn(handler));
        (replayed, feed.fates(), letters.list(&LetterQuery::default()).await.expect("memory answers"))
    };
    let (_, fates, _) =
        run(vec![event("bad", "a"), event("good", "a"), event("lost", "b")], true, false).await;
    assert_eq!(fates, [Settled::Dead, Settled::Parked, Settled::Handled]);
    let (_, fates, kept) = run(vec![event("good", "a"), event("good", "c")], true, false).await;
    assert_eq!(fates, [Settled::Parked, Settled::Handled]);
    assert_eq!(kept.len(), 3);
    assert_eq!(kept[0].message.payload.kind(), "bad");

    seen.lock().clear();
    let (replayed, _, kept) = run(vec![event("good", "a")], false, true).await;
    assert_eq!(replayed.map(|replayed| (replayed.handled, replayed.failed)), Some((4, 0)));
    assert!(kept.is_empty(), "{kept:?}");
    let today = ("today".to_owned(), Some("a".to_owned()));
    assert_eq!(seen.lock()[..3], [today.clone(), today.clone(), today]);
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_cannot_be_upcast_stays_and_says_why() {
    let letters = Arc::new(MemoryDeadLetters::<Event>::new(10));
    let feed = Arc::new(Feed::<Event>::default());
    let handling = Handling::<Event> {
        order: Order::PerKey,
        dead_letters: Arc::clone(&letters) as _,
        upcast: Some(Arc::new(Orders)),
        ..Handling::default()
    };
    let dispatcher = Dispatcher::new(Arc::clone(&feed), "orders", "test", handling);
    feed.push(Message::of_event(Event::new("/test", "lost").subject("a").build()));
    let handler = |_| async { Err::<(), _>(Failure("permanent")) };
    let work = async {
        until("it is put aside", || dispatcher.metrics().dead > 0).await;
        let replayed = dispatcher.replay(Replay::All).await.expect("memory answers");
        assert_eq!((replayed.handled, replayed.failed), (0, 1));
        feed.end();
    };
    tokio::join!(work, dispatcher.run_fn(handler));
    let kept = letters.list(&LetterQuery::default()).await.expect("memory answers");
    assert!(
        matches!(&kept[0].fate, Fate::Dead { cause: Cause::NotUpcast { .. }, attempts: 1, .. }),
        "{kept:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_waits_until_its_dead_letter_is_kept() {
    let letters = Arc::new(MemoryDeadLetters::<u64>::new(1));
    let bench = Bench::start(with(&letters, Parking::default()));
    bench.push([1, 11]);
    bench.settle().await;
    // There is room for one: the second is neither settled nor forgotten.
    assert_eq!(bench.feed.settled(), [(1, Settled::Dead)]);
    assert_eq!(bench.dispatcher.metrics().in_hand, 1);
    let id = letters.list(&LetterQuery::default()).await.expect("memory answers")[0].id;
    assert!(letters.take(id).await.expect("memory answers").is_some());
    bench.settle().await;
    assert_eq!(bench.feed.with(Settled::Parked), [11]);
    bench.end().await;
}
