use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use steadfast_base::{Class, Classify, Deadline};
use tokio_util::sync::CancellationToken;

use super::{Consumer, Report};
use crate::Event;
use crate::delivery::{
    Cause, DeadLetters, Delivery, Fate, Handling, Letter, LetterQuery, MemoryDeadLetters, Order, Redelivery,
    Replay, StoredDeadLetters,
};
use crate::patience::until;
use crate::store::{Durability, EventStore, MemoryStore};
use crate::transport::memory::{Broker, Config};
use crate::transport::{Error, Subscribe};

#[derive(Debug, thiserror::Error)]
#[error("it is {0:?}")]
struct Failed(Class);

impl Classify for Failed {
    fn classify(&self) -> Class {
        self.0
    }
}

fn event(key: u32, number: u32) -> Event {
    Event::new("/test", "test.sent").subject(key.to_string()).data("text/plain", number.to_string())
}

async fn send(broker: &Broker, events: &[Event]) {
    let deadline = Deadline::within(Duration::from_secs(10));
    broker.sink("topic").send(events, Durability::Accepted, deadline).await.expect("the broker is up");
}

fn consumer(broker: &Broker, handling: Handling<Event>) -> Consumer {
    Consumer::new(broker.source("topic"), Subscribe::new("group"), handling)
}

/// Waits until the group has nothing left to handle.
async fn until_backlog_is(broker: &Broker, count: usize) {
    until("the backlog is as it should be", || broker.backlog("topic", "group") == Some(count)).await;
}

#[tokio::test(start_paused = true)]
async fn it_acknowledges_what_was_handled_and_gives_back_the_rest() {
    let broker = Broker::new(Config::default());
    send(&broker, &(0..100).map(|number| event(0, number)).collect::<Vec<_>>()).await;
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let seen = Mutex::new(Vec::new());
    let handler = |delivery: Delivery<Event>| {
        let number = String::from_utf8_lossy(delivery.payload().data()).parse::<u32>().expect("a number");
        let stop = stop.clone();
        seen.lock().push(number);
        async move {
            if number == 30 {
                // What is in hand from here on is not handled before the drain ends.
                stop.cancel();
                std::future::pending::<()>().await;
            }
            Ok::<(), Failed>(())
        }
    };
    let first = consumer(&broker, Handling::default()).run_fn(handler, cancel).await.expect("it ran");
    assert_eq!((first.handled, first.dead, first.untold), (30, 0, 0), "{first:?}");
    assert!(first.released > 0, "{first:?}");
    assert_eq!(broker.backlog("topic", "group"), Some(70), "acknowledged is what was handled");

    let cancel = CancellationToken::new();
    let rest = Mutex::new(Vec::<u32>::new());
    let second = consumer(&broker, Handling::default());
    let second = second.run_fn(
        |delivery: Delivery<Event>| {
            rest.lock().push(String::from_utf8_lossy(delivery.payload().data()).parse().expect("a number"));
            async { Ok::<(), Failed>(()) }
        },
        cancel.clone(),
    );
    let (second, ()) = tokio::join!(second, async {
        until_backlog_is(&broker, 0).await;
        cancel.cancel();
    });
    assert_eq!(second.expect("it ran"), Report { handled: 70, ..Report::default() });
    assert_eq!(
        *rest.lock(),
        (30..100).collect::<Vec<u32>>(),
        "in order, from the first that was not handled"
    );
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_acknowledged_after_it_is_kept() {
    let broker = Broker::new(Config::default());
    send(&broker, &[event(0, 0), event(1, 0), event(2, 0)]).await;
    let letters = Arc::new(MemoryDeadLetters::new(10));
    let redelivery = Redelivery { attempts_max: 3, ..Redelivery::default() };
    let handling = Handling { redelivery, dead_letters: letters.clone(), ..Handling::default() };
    let attempts = AtomicU64::new(0);
    let cancel = CancellationToken::new();
    let handler = |delivery: Delivery<Event>| {
        let fails = delivery.payload().subject() == Some("1");
        attempts.fetch_add(1, Ordering::Relaxed);
        async move { if fails { Err(Failed(Class::Transient)) } else { Ok(()) } }
    };
    let consumer = consumer(&broker, handling);
    let (report, ()) = tokio::join!(consumer.run_fn(handler, cancel.clone()), async {
        until_backlog_is(&broker, 0).await;
        cancel.cancel();
    });
    assert_eq!(report.expect("it ran"), Report { handled: 2, dead: 1, ..Report::default() });
    assert_eq!(attempts.load(Ordering::Relaxed), 2 + 3);
}

#[tokio::test(start_paused = true)]
async fn dead_letters_are_replayed_through_a_run_under_way() {
    let broker = Broker::new(Config::default());
    send(&broker, &(0..5).map(|number| event(0, number)).collect::<Vec<_>>()).await;
    let letters = Arc::new(MemoryDeadLetters::new(10));
    let redelivery = Redelivery { attempts_max: 1, ..Redelivery::default() };
    let handling =
        Handling { order: Order::PerKey, redelivery, dead_letters: letters.clone(), ..Handling::default() };
    let (is_mended, handled) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let handler = |delivery: Delivery<Event>| {
        let number = String::from_utf8_lossy(delivery.payload().data()).into_owned();
        let fails = number == "1" && is_mended.load(Ordering::Relaxed) == 0;
        let handled = &handled;
        async move {
            if fails {
                return Err(Failed(Class::Permanent));
            }
            handled.lock().push(number);
            Ok(())
        }
    };
    let consumer = consumer(&broker, handling);
    assert!(matches!(consumer.replay(Replay::All).await, Ok(None)), "nothing runs");
    let cancel = CancellationToken::new();
    let (report, ()) = tokio::join!(consumer.run_fn(handler, cancel.clone()), async {
        until_backlog_is(&broker, 0).await;
        assert_eq!(*handled.lock(), ["0"], "the rest of the key is parked");
        is_mended.store(1, Ordering::Relaxed);
        let replayed = consumer.replay(Replay::All).await.expect("memory does not fail");
        assert_eq!(replayed.map(|replayed| (replayed.handled, replayed.failed)), Some((4, 0)));
        assert_eq!(consumer.metrics().len(), 1);
        cancel.cancel();
    });
    let report = report.expect("it ran");
    assert_eq!((report.handled, report.dead, report.parked, report.released), (1, 1, 3, 0), "{report:?}");
    assert_eq!(*handled.lock(), ["0", "1", "2", "3", "4"]);
    assert!(consumer.metrics().is_empty());
}

#[tokio::test(start_paused = true)]
async fn lost_connections_and_failing_handlers_lose_nothing_and_keep_order() {
    let broker = Broker::new(Config::default());
    let (keys, count) = (8, 60);
    let newest = Mutex::new(vec![None; keys as usize]);
    let cancel = CancellationToken::new();
    let handling = Handling { order: Order::PerKey, ..Handling::default() };
    let fails = AtomicU64::new(0);
    let handler = |delivery: Delivery<Event>| {
        let key: usize = delivery.payload().subject().and_then(|key| key.parse().ok()).expect("a key");
        let number: u32 = String::from_utf8_lossy(delivery.payload().data()).parse().expect("a number");
        let (newest, fails) = (&newest, &fails);
        async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            if fails.fetch_add(1, Ordering::Relaxed) % 7 == 0 {
                return Err(Failed(Class::Transient));
            }
            let newest = &mut newest.lock()[key];
            // One that comes again after a lost acknowledgement is behind; none is ahead.
            assert!(number <= newest.map_or(0, |newest| newest + 1), "key {key}: {number} after {newest:?}");
            *newest = (*newest).max(Some(number));
            Ok(())
        }
    };
    let consumer = consumer(&broker, handling);
    let (report, ()) = tokio::join!(consumer.run_fn(handler, cancel.clone()), async {
        for number in 0..count {
            send(&broker, &(0..keys).map(|key| event(key, number)).collect::<Vec<_>>()).await;
            if number % 20 == 10 {
                broker.cut();
                tokio::time::sleep(Duration::from_millis(30)).await;
                broker.restore();
            }
        }
        until_backlog_is(&broker, 0).await;
        cancel.cancel();
    });
    let report = report.expect("it ran");
    assert!(report.handled >= u64::from(keys * count), "{report:?}");
    assert_eq!(*newest.lock(), vec![Some(count - 1); keys as usize]);
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_a_source_and_ends_when_cancelled_meanwhile() {
    let broker = Broker::new(Config::default());
    broker.cut();
    let cancel = CancellationToken::new();
    let consumer = consumer(&broker, Handling::default());
    let handler = |_: Delivery<Event>| async { Ok::<(), Failed>(()) };
    let (report, ()) = tokio::join!(consumer.run_fn(handler, cancel.clone()), async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        cancel.cancel();
    });
    assert_eq!(report.expect("it was cancelled"), Report::default());

    let cancel = CancellationToken::new();
    let (report, ()) = tokio::join!(consumer.run_fn(handler, cancel.clone()), async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        broker.restore();
        until("the group is there", || broker.backlog("topic", "group").is_some()).await;
        send(&broker, &[event(0, 0)]).await;
        until_backlog_is(&broker, 0).await;
        cancel.cancel();
    });
    assert_eq!(report.expect("it ran"), Report { handled: 1, ..Report::default() });
}

#[tokio::test]
async fn a_run_can_be_spawned() {
    let consumer = consumer(&Broker::new(Config::default()), Handling::default());
    let cancel = CancellationToken::new();
    cancel.cancel();
    let run = async move { consumer.run_fn(|_| async { Ok::<(), Error>(()) }, cancel).await };
    let report = tokio::spawn(run).await.expect("it does not panic").expect("it was cancelled");
    assert_eq!(report, Report::default());
}

#[tokio::test(start_paused = true)]
async fn each_of_several_runs_replays_what_it_has_parked() {
    let broker = Broker::new(Config::default());
    let handling = Handling {
        order: Order::PerKey,
        dead_letters: Arc::new(MemoryDeadLetters::new(100)),
        ..Handling::default()
    };
    // One event at a time, so that both runs get some.
    let subscribe = Subscribe { in_flight_max: 1, ..Subscribe::new("group") };
    let consumer = Consumer::new(broker.source("topic"), subscribe, handling);
    let (broken, handled) = (std::sync::atomic::AtomicBool::new(true), AtomicU64::new(0));
    let handler = |_: Delivery<Event>| {
        let broken = broken.load(Ordering::SeqCst);
        handled.fetch_add(u64::from(!broken), Ordering::SeqCst);
        async move { if broken { Err(Failed(Class::Permanent)) } else { Ok(()) } }
    };
    let cancel = CancellationToken::new();
    let work = async {
        while consumer.metrics().len() < 2 {
            tokio::task::yield_now().await;
        }
        send(&broker, &(0..20).map(|key| event(key, 0)).collect::<Vec<_>>()).await;
        until_backlog_is(&broker, 0).await;
        assert!(consumer.metrics().iter().all(|run| run.dead > 0), "{:?}", consumer.metrics());
        broken.store(false, Ordering::SeqCst);
        let replayed = consumer.replay(Replay::All).await.expect("letters are in memory").expect("two run");
        assert_eq!((replayed.handled, replayed.failed), (20, 0));
        send(&broker, &(0..20).map(|key| event(key, 1)).collect::<Vec<_>>()).await;
        until_backlog_is(&broker, 0).await;
        assert!(consumer.metrics().iter().all(|run| run.parked == 0), "all keys are free");
        cancel.cancel();
    };
    let runs = || consumer.run_fn(handler, cancel.clone());
    let (first, second, ()) = tokio::join!(runs(), runs(), work);
    assert_eq!(first.expect("it ran").handled + second.expect("it ran").handled, 20);
    assert_eq!(handled.load(Ordering::SeqCst), 40);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_one_run_has_parked_is_parked_for_the_others_too() {
    const COUNT: u32 = 40;
    let broker = Broker::new(Config::default());
    let letters = Arc::new(MemoryDeadLetters::new(100));
    let handling = Handling { order: Order::PerKey, dead_letters: letters, ..Handling::default() };
    let subscribe = Subscribe { in_flight_max: 1, ..Subscribe::new("group") };
    let consumer = Consumer::new(broker.source("topic"), subscribe, handling);
    let (broken, handled) = (std::sync::atomic::AtomicBool::new(true), Mutex::new(Vec::new()));
    let handler = |delivery: Delivery<Event>| {
        let (broken, handled) = (broken.load(Ordering::SeqCst), &handled);
        async move {
            tokio::time::sleep(Duration::from_millis(3)).await;
            let number = String::from_utf8_lossy(delivery.payload().data()).parse::<u32>().expect("a number");
            if number == 0 && broken {
                return Err(Failed(Class::Permanent));
            }
            handled.lock().push(number);
            Ok(())
        }
    };
    let cancel = CancellationToken::new();
    let work = async {
        while consumer.metrics().len() < 3 {
            tokio::task::yield_now().await;
        }
        let mut numbers = 0..COUNT;
        for number in numbers.by_ref().take(20) {
            send(&broker, &[event(0, number)]).await;
            until_backlog_is(&broker, 0).await;
        }
        let parked: Vec<u64> = consumer.metrics().iter().map(|run| run.parked).collect();
        assert!(parked.iter().filter(|parked| **parked > 0).count() > 1, "several had some: {parked:?}");
        assert!(handled.lock().is_empty(), "{:?} passed a dead letter", handled.lock());
        broken.store(false, Ordering::SeqCst);
        let rest = async {
            for number in numbers {
                send(&broker, &[event(0, number)]).await;
                tokio::time::sleep(Duration::from_millis(4)).await;
            }
        };
        let (replayed, ()) = tokio::join!(consumer.replay(Replay::All), rest);
        replayed.expect("letters are in memory").expect("three run");
        consumer.replay(Replay::All).await.expect("letters are in memory");
        send(&broker, &[event(0, COUNT)]).await;
        while handled.lock().len() <= COUNT as usize {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(*handled.lock(), (0..=COUNT).collect::<Vec<_>>());
        cancel.cancel();
    };
    let run = || consumer.run_fn(handler, cancel.clone());
    let both = async { tokio::join!(run(), run(), run(), work) };
    let (first, ..) = tokio::time::timeout(Duration::from_secs(3_600), both).await.expect("it does not hang");
    first.expect("it ran");
}

#[tokio::test(start_paused = true)]
async fn a_run_may_drain_for_ever() {
    let broker = Broker::new(Config::default());
    send(&broker, &[event(0, 0)]).await;
    let consumer = consumer(&broker, Handling::default()).drain_within(Duration::MAX);
    let cancel = CancellationToken::new();
    let handler = |_: Delivery<Event>| {
        cancel.cancel();
        async {
            tokio::time::sleep(Duration::from_secs(20)).await;
            Ok::<(), Failed>(())
        }
    };
    let report = consumer.run_fn(handler, cancel.clone()).await.expect("it ran");
    assert_eq!(report, Report { handled: 1, ..Report::default() });
}

/// What one event does to whoever handles it.
async fn lives_until_all_is_handled(order: Order) -> (u32, Vec<u32>, Vec<u32>) {
    const KILLER: u32 = 5;
    let broker = Broker::new(Config::default());
    send(&broker, &(0..40).map(|number| event(number % 4, number)).collect::<Vec<_>>()).await;
    let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let (mut lives, killed, handled) = (0, AtomicU64::new(0), Mutex::new(Vec::new()));
    let open = || StoredDeadLetters::open(Arc::clone(&store), "test", 100, Durability::Accepted);
    while broker.backlog("topic", "group") != Some(0) {
        lives += 1;
        assert!(lives < 10, "{killed:?}, {handled:?}");
        let letters = Arc::new(open().await.expect("the store is read"));
        let handling = Handling { order, concurrency: 4, dead_letters: letters, ..Handling::default() };
        let consumer = consumer(&broker, handling);
        let (dies, cancel) = (tokio::sync::Notify::new(), CancellationToken::new());
        let handler = |delivery: Delivery<Event>| {
            let number = String::from_utf8_lossy(delivery.payload().data()).parse::<u32>().expect("a number");
            let (dies, killed, handled) = (&dies, &killed, &handled);
            async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                if number == KILLER {
                    killed.fetch_add(1, Ordering::SeqCst);
                    dies.notify_one();
                    std::future::pending::<()>().await;
                }
                handled.lock().push(number);
                Ok::<(), Failed>(())
            }
        };
        let life = consumer.run_fn(handler, cancel.clone());
        tokio::select! {
            biased;
            // All that it had in hand and was not told is gone with it.
            () = dies.notified() => {}
            ended = life => assert!(ended.is_ok(), "{ended:?}"),
            () = async { until_backlog_is(&broker, 0).await; cancel.cancel(); std::future::pending().await } => {}
        }
    }
    let letters =
        open().await.expect("the store is read").list(&LetterQuery::default()).await.expect("in memory");
    let dead = letters.iter().filter(|letter| matches!(letter.fate, Fate::Dead { cause: Cause::Lost, .. }));
    let number = |letter: &Letter<Event>| String::from_utf8_lossy(letter.message.payload().data()).parse();
    let dead: Vec<u32> = dead.map(|letter| number(letter).expect("a number")).collect();
    let parked = letters.iter().filter(|letter| letter.fate == Fate::Parked);
    let parked: Vec<u32> = parked.map(|letter| number(letter).expect("a number")).collect();
    assert!(killed.load(Ordering::SeqCst) <= 5, "{killed:?}");
    let mut handled = handled.into_inner();
    handled.extend(&parked);
    handled.sort_unstable();
    handled.dedup();
    assert_eq!(handled, (0..40).filter(|number| *number != KILLER).collect::<Vec<_>>());
    (lives, dead, parked)
}

#[tokio::test(start_paused = true)]
async fn an_event_that_kills_its_process_becomes_a_dead_letter_and_no_other_does() {
    for order in [Order::Total, Order::None] {
        let (lives, dead, parked) = lives_until_all_is_handled(order).await;
        assert!(lives <= 6, "{lives}");
        assert_eq!((dead, parked), (vec![5], Vec::new()), "{order:?}");
    }
    let (lives, dead, parked) = lives_until_all_is_handled(Order::PerKey).await;
    assert!(lives <= 6, "{lives}");
    assert_eq!((dead, parked), (vec![5], (2..10).map(|number| number * 4 + 1).collect()));
}

#[tokio::test(start_paused = true)]
async fn a_suspect_that_fails_as_others_do_is_a_letter_that_says_so_and_one_that_is_given_back_is_none() {
    let broker = Broker::new(Config::default());
    send(&broker, &[event(0, 0), event(1, 1), event(2, 2)]).await;
    for _ in 0..4 {
        let receiver = broker.source("topic").open(&Subscribe::new("group")).await.expect("the broker is up");
        assert_eq!(receiver.receive(10).await.expect("the broker is up").len(), 3);
    }
    let letters = Arc::new(MemoryDeadLetters::new(10));
    let handling = Handling { order: Order::PerKey, dead_letters: letters.clone(), ..Handling::default() };
    let consumer = consumer(&broker, handling).drain_within(Duration::from_secs(5));
    let cancel = CancellationToken::new();
    let seen = Mutex::new(Vec::new());
    let handler = |delivery: Delivery<Event>| {
        let key = delivery.payload().subject().unwrap_or_default().to_owned();
        let (letters, cancel, seen) = (&letters, cancel.clone(), &seen);
        async move {
            let kept = letters.list(&LetterQuery::default()).await.expect("in memory").len();
            seen.lock().push((key.clone(), kept));
            match &*key {
                "0" => Ok(()),
                "1" => Err(Failed(Class::Permanent)),
                _ => {
                    cancel.cancel();
                    std::future::pending().await
                }
            }
        }
    };
    let report = consumer.run_fn(handler, cancel.clone()).await.expect("it ran");
    assert_eq!(report, Report { handled: 1, dead: 1, released: 1, ..Report::default() });
    let kept = letters.list(&LetterQuery::default()).await.expect("in memory");
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(matches!(&kept[0].fate, Fate::Dead { cause: Cause::Failed { .. }, attempts: 1, .. }), "{kept:?}");
    // Each was accused while it was attempted, alone.
    assert_eq!(seen.lock().iter().map(|(key, _)| &**key).collect::<Vec<_>>(), ["0", "1", "2"]);
    assert!(seen.lock().iter().all(|(_, letters)| *letters >= 1), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_suspect_that_is_handed_out_twice_is_not_dead_because_it_is_in_hand() {
    let broker = Broker::new(Config::default());
    send(&broker, &[event(0, 0)]).await;
    let receiver = broker.source("topic").open(&Subscribe::new("group")).await.expect("the broker is up");
    assert_eq!(receiver.receive(10).await.expect("the broker is up").len(), 1);
    drop(receiver);
    let letters = Arc::new(MemoryDeadLetters::new(10));
    let handling = Handling { order: Order::None, dead_letters: letters.clone(), ..Handling::default() };
    let consumer = consumer(&broker, handling).suspect_after(1).drain_within(Duration::from_secs(1));
    let (calls, handled) = (AtomicU64::new(0), AtomicU64::new(0));
    let handler = |_: Delivery<Event>| {
        let (call, handled) = (calls.fetch_add(1, Ordering::SeqCst), &handled);
        async move {
            if call == 0 {
                std::future::pending::<()>().await;
            }
            handled.fetch_add(1, Ordering::SeqCst);
            Ok::<(), Failed>(())
        }
    };
    let (stuck, other) = (CancellationToken::new(), CancellationToken::new());
    let work = async {
        until("the event is handled", || calls.load(Ordering::SeqCst) > 0).await;
        // The transport believes that the first run is gone, and hands the event to the other one.
        broker.cut();
        broker.restore();
        tokio::time::sleep(Duration::from_secs(1)).await;
        stuck.cancel();
        tokio::time::sleep(Duration::from_secs(60)).await;
        other.cancel();
    };
    let run = |cancel: &CancellationToken| consumer.run_fn(handler, cancel.clone());
    let (first, second, ()) = tokio::join!(run(&stuck), run(&other), work);
    first.and(second).expect("they were cancelled");
    let kept = letters.list(&LetterQuery::default()).await.expect("in memory");
    assert!(handled.load(Ordering::SeqCst) > 0, "lost: {kept:?}");
    assert!(kept.is_empty(), "{kept:?}");
    assert_eq!(broker.backlog("topic", "group"), Some(0));
}
