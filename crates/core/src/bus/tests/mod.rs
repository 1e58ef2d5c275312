//! The bus as its users see it.

mod accounting;
mod queues;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::FutureExt;
use parking_lot::Mutex;
use proptest::prelude::*;
use steadfast_base::{Class, Classify, Context, Deadline, Seed};
use tokio::time::timeout;
use tower::service_fn;

use super::{Bus, Delivery, Drained, Error, Message, Subscription};
use crate::Event;
use crate::delivery::{DeadLetters, Fate, Handling, LetterQuery, MemoryDeadLetters, Redelivery};

const SOON: Duration = Duration::from_secs(5);

fn topic(bus: &Bus) -> super::Topic<u32> {
    bus.topic("numbers").expect("the bus is open")
}

fn subscribe(bus: &Bus, name: &str, capacity: usize) -> Subscription<u32> {
    topic(bus).subscribe(name, capacity).expect("the bus is open").handling(handling())
}

fn handling() -> Handling<u32> {
    let redelivery = Redelivery { seed: Seed::new(1), attempts_max: 3, ..Redelivery::default() };
    Handling { redelivery, ..Handling::default() }
}

async fn take(subscription: &mut Subscription<u32>) -> Option<u32> {
    timeout(SOON, subscription.next()).await.expect("a message or the end").map(|d| *d.payload())
}

#[derive(Debug, thiserror::Error)]
#[error("{0:?}")]
struct Failure(Class);

impl Classify for Failure {
    fn classify(&self) -> Class {
        self.0
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_holds_the_publisher_and_the_message_reaches_all() {
    let bus = Bus::new();
    let (mut slow, mut fast) = (subscribe(&bus, "slow", 1), subscribe(&bus, "fast", 8));
    assert_eq!(topic(&bus).publish(1).await, Ok(2));
    let publisher = tokio::spawn({
        let topic = topic(&bus);
        async move { topic.publish(2).await }
    });
    assert_eq!(take(&mut fast).await, Some(1));
    tokio::task::yield_now().await;
    assert!(!publisher.is_finished());

    assert_eq!(take(&mut slow).await, Some(1));
    assert_eq!(publisher.await.expect("no panic"), Ok(2));
    assert_eq!((take(&mut slow).await, take(&mut fast).await), (Some(2), Some(2)));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_published_reaches_nobody() {
    let bus = Bus::new();
    let (mut fast, _slow) = (subscribe(&bus, "fast", 8), subscribe(&bus, "slow", 1));
    let topic = topic(&bus);
    topic.try_publish(1).expect("there is room");
    assert_eq!(topic.try_publish(2), Err(Error::Full { subscriber: "slow".into() }));
    let late = topic.publish_within(3, Deadline::within(Duration::from_millis(10))).await;
    assert_eq!(late, Err(Error::DeadlineExceeded { subscriber: "slow".into() }));
    assert_eq!(topic.publish(4).now_or_never(), None);

    assert_eq!(take(&mut fast).await, Some(1));
    assert_eq!(fast.next().now_or_never().map(|d| *d.expect("open").payload()), None);
    assert_eq!(bus.metrics()[0].published, 1);
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_leaves_holds_nobody() {
    let bus = Bus::new();
    let slow = subscribe(&bus, "slow", 1);
    let topic = topic(&bus);
    topic.try_publish(1).expect("there is room");
    let mut publish = Box::pin(topic.publish(2));
    assert!(publish.as_mut().now_or_never().is_none());
    drop(slow);
    assert_eq!(timeout(SOON, publish).await, Ok(Ok(0)));
    let drained = bus.close(Deadline::within(SOON)).await;
    assert_eq!(drained, Drained { handled: 0, dead: 0, parked: 0, abandoned: 0 });
}

#[tokio::test]
async fn all_subscribers_see_one_order() {
    let bus = Bus::new();
    let mut subscriptions = [subscribe(&bus, "a", 2), subscribe(&bus, "b", 3), subscribe(&bus, "c", 500)];
    let mut publishers = tokio::task::JoinSet::new();
    for publisher in 0..4 {
        let topic = topic(&bus);
        publishers.spawn(async move {
            for number in 0..50 {
                topic.publish(publisher * 1000 + number).await.expect("the bus is open");
                tokio::task::yield_now().await;
            }
        });
    }
    let [a, b, c] = &mut subscriptions;
    let mut seen: [Vec<u32>; 3] = Default::default();
    for _ in 0..200 {
        let taken = tokio::join!(take(a), take(b), take(c));
        let taken = [taken.0, taken.1, taken.2];
        seen.iter_mut().zip(taken).for_each(|(seen, taken)| seen.extend(taken));
    }
    publishers.join_all().await;
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
    for publisher in 0..4 {
        let own: Vec<u32> = seen[0].iter().copied().filter(|n| n / 1000 == publisher).collect();
        assert!(own.is_sorted() && own.len() == 50, "{own:?}");
    }
}

/// Runs a handler that fails as `outcome` says by attempt, and returns the attempts made and the dead letters.
async fn handle(outcome: fn(u32) -> Result<(), Class>) -> (u32, Vec<(u32, String)>) {
    let bus = Bus::new();
    let letters = Arc::new(MemoryDeadLetters::new(8));
    let dead_letters = Arc::clone(&letters) as Arc<dyn DeadLetters<u32>>;
    let subscription = subscribe(&bus, "s", 4).handling(Handling { dead_letters, ..handling() });
    let attempts = Arc::new(AtomicU32::new(0));
    let made = Arc::clone(&attempts);
    let runner = tokio::spawn(async move {
        let handler = service_fn(move |delivery: Delivery<u32>| {
            made.fetch_add(1, Ordering::Relaxed);
            async move {
                assert!(delivery.deadline().is_some());
                match outcome(delivery.attempt()) {
                    Err(Class::Success) => panic!("as the test wants it"),
                    outcome => outcome.map_err(Failure),
                }
            }
        });
        subscription.run(handler).await;
    });
    topic(&bus).publish(1).await.expect("the bus is open");
    let drained = bus.close(Deadline::within(Duration::from_secs(60))).await;
    runner.await.expect("the runner does not panic");
    let kept = letters.list(&LetterQuery::default()).await.expect("they are in memory");
    let fates = kept.into_iter().map(|letter| letter.fate);
    let dead: Vec<_> = fates
        .filter_map(|fate| match fate {
            Fate::Dead { cause, attempts, .. } => Some((attempts, cause.to_string())),
            _ => None,
        })
        .collect();
    assert_eq!((drained.handled, drained.dead), (u64::from(dead.is_empty()), dead.len() as u64));
    (attempts.load(Ordering::Relaxed), dead)
}

#[tokio::test(start_paused = true)]
async fn failed_deliveries_are_repeated_until_they_succeed_or_are_dead() {
    assert_eq!(handle(|_| Ok(())).await, (1, vec![]));
    let second = |attempt| if attempt < 2 { Err(Class::Transient) } else { Ok(()) };
    assert_eq!(handle(second).await, (2, vec![]));
    let transient = handle(|_| Err(Class::Transient)).await;
    assert_eq!(transient, (3, vec![(3, "Transient".to_owned())]));
    let permanent = handle(|_| Err(Class::Permanent)).await;
    assert_eq!(permanent, (1, vec![(1, "Permanent".to_owned())]));
    let panicking = handle(|_| Err(Class::Success)).await;
    assert_eq!(panicking, (3, vec![(3, "the handler panicked: as the test wants it".to_owned())]));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_has_failed() {
    let bus = Bus::new();
    let redelivery = Redelivery { attempts_max: 2, attempt_timeout: SOON, ..Redelivery::default() };
    let subscription = subscribe(&bus, "s", 1).handling(Handling { redelivery, ..handling() });
    topic(&bus).publish(1).await.expect("the bus is open");
    let handler = service_fn(|delivery: Delivery<u32>| async move {
        if delivery.attempt() == 1 {
            std::future::pending::<()>().await;
        }
        Ok::<_, Infallible>(())
    });
    let close = bus.close(Deadline::within(Duration::from_secs(60)));
    let ((), drained) = tokio::join!(subscription.run(handler), close);
    assert_eq!(drained, Drained { handled: 1, dead: 0, parked: 0, abandoned: 0 });
}

#[tokio::test(start_paused = true)]
async fn a_dropped_handler_has_failed_and_its_message_stays() {
    let bus = Bus::new();
    let mut subscription = subscribe(&bus, "s", 4);
    for number in [1, 2] {
        topic(&bus).publish(number).await.expect("the bus is open");
    }
    let hanging = || service_fn(|_: Delivery<u32>| std::future::pending::<Result<(), Infallible>>());
    for _ in 0..2 {
        assert!(timeout(Duration::from_millis(1), subscription.run(hanging())).await.is_err());
    }
    // What a run had in hand is the next run's.
    let delivery = subscription.next().await.expect("the bus is open");
    assert_eq!((*delivery.payload(), delivery.attempt()), (2, 1));
    topic(&bus).publish(3).await.expect("the bus is open");

    // The third dropped attempt is the last; the message is dead before the next one is handled.
    assert!(timeout(Duration::from_millis(1), subscription.run(hanging())).await.is_err());
    let handler = service_fn(|_: Delivery<u32>| async { Ok::<_, Infallible>(()) });
    assert!(timeout(Duration::from_millis(1), subscription.run(handler)).await.is_err());
    let metrics = &bus.metrics()[0].subscriptions[0];
    assert_eq!((metrics.handled, metrics.redelivered, metrics.dead, metrics.lag), (2, 2, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn closing_ends_handlers_at_the_deadline_and_counts_what_is_left() {
    let bus = Bus::new();
    let subscription = subscribe(&bus, "s", 8);
    for number in 0..4 {
        topic(&bus).publish(number).await.expect("the bus is open");
    }
    let runner = tokio::spawn(async move {
        let handler = service_fn(|delivery: Delivery<u32>| async move {
            if *delivery.payload() == 2 {
                std::future::pending::<()>().await;
            }
            Ok::<_, Infallible>(())
        });
        subscription.run(handler).await;
    });
    let handle = topic(&bus);
    let drained = bus.close(Deadline::within(Duration::from_secs(1))).await;
    assert_eq!(drained, Drained { handled: 2, dead: 0, parked: 0, abandoned: 2 });
    timeout(SOON, runner).await.expect("the runner ends").expect("no panic");
    assert_eq!(handle.publish(5).await, Err(Error::Closed));
    assert_eq!(handle.try_publish(5), Err(Error::Closed));
    assert_eq!(handle.subscribe("late", 1).err(), Some(Error::Closed));
    assert_eq!(bus.topic::<u32>("numbers").err(), Some(Error::Closed));
}

#[tokio::test(start_paused = true)]
async fn closing_releases_a_waiting_publisher() {
    let bus = Bus::new();
    let _slow = subscribe(&bus, "slow", 1);
    let topic = topic(&bus);
    topic.try_publish(1).expect("there is room");
    let publisher = tokio::spawn(async move { topic.publish(2).await });
    tokio::task::yield_now().await;
    let drained = bus.close(Deadline::within(Duration::from_millis(5))).await;
    assert_eq!(drained.abandoned, 1);
    assert_eq!(timeout(SOON, publisher).await.expect("released").expect("no panic"), Err(Error::Closed));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_bus_ends_every_handler() {
    let bus = Bus::new();
    let topic = topic(&bus);
    let handled = Arc::new(AtomicU32::new(0));
    let mut runners = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let (subscription, handled) = (subscribe(&bus, "s", 4), Arc::clone(&handled));
        runners.spawn(async move {
            let handler = service_fn(|_: Delivery<u32>| {
                handled.fetch_add(1, Ordering::Relaxed);
                async { Ok::<_, Infallible>(()) }
            });
            subscription.run(handler).await;
        });
    }
    topic.publish(1).await.expect("the bus is open");
    drop(bus);
    timeout(SOON, runners.join_all()).await.expect("every runner ends, though a topic is still held");
    assert_eq!(handled.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_topic_has_one_type_and_a_delivery_carries_its_context() {
    let bus = Bus::new();
    let topic = bus.topic::<Event>("orders").expect("the bus is open");
    assert_eq!(bus.topic::<u32>("orders").err(), Some(Error::OtherType { topic: "orders".into() }));

    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().expect("a valid trace");
    let event = Event::new("/orders", "order.created").trace(trace).build();
    let id = event.id().to_string();
    let mut subscription = topic.subscribe("s", 2).expect("the bus is open");
    topic.publish(Message::of_event(event.clone())).await.expect("the bus is open");
    topic.publish(event).await.expect("the bus is open");
    let delivery = subscription.next().await.expect("a message");
    assert_eq!((delivery.key(), delivery.operation()), (Some(&*id), "order.created"));
    assert_eq!((delivery.trace(), delivery.deadline()), (Some(trace), None));
    let bare = subscription.next().await.expect("a message");
    assert_eq!((bare.key(), bare.operation(), bare.trace()), (Some(&*id), "order.created", Some(trace)));

    let numbers = bus.topic::<u32>("numbers").expect("the bus is open");
    let mut subscription = numbers.subscribe("s", 2).expect("the bus is open");
    numbers.publish(1).await.expect("the bus is open");
    let number = subscription.next().await.expect("a message");
    assert_eq!((number.key(), number.operation(), number.partition_key()), (None, "numbers", None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever handlers do, each message that entered a queue ends once, and those delivered keep their order.
    #[test]
    fn every_message_is_accounted_for(
        outcomes in prop::collection::vec(prop::collection::vec(0_u8..5, 1..20), 1..4),
        capacity in 1_usize..5,
        close_ms in 0_u64..2_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let bus = Bus::new();
            let handled = Arc::new(Mutex::new(Vec::new()));
            let mut runners = tokio::task::JoinSet::new();
            let count = outcomes.len() as u64;
            for (index, outcomes) in outcomes.into_iter().enumerate() {
                let subscription = subscribe(&bus, "s", capacity);
                let handled = Arc::clone(&handled);
                let mut turn = 0;
                runners.spawn(async move {
                    let handler = service_fn(|delivery: Delivery<u32>| {
                        let outcome = outcomes[turn % outcomes.len()];
                        turn += 1;
                        let handled = Arc::clone(&handled);
                        async move {
                            match outcome {
                                0 => return Err(Failure(Class::Transient)),
                                1 => return Err(Failure(Class::Permanent)),
                                2 => tokio::time::sleep(Duration::from_secs(3_600)).await,
                                3 => tokio::time::sleep(Duration::from_millis(30)).await,
                                _ => {}
                            }
                            handled.lock().push((index, *delivery.payload()));
                            Ok(())
                        }
                    });
                    subscription.run(handler).await;
                });
            }
            let topic = topic(&bus);
            let publisher = tokio::spawn(async move {
                let mut published = 0;
                while published < 40 && topic.publish(published).await.is_ok() {
                    published += 1;
                }
                u64::from(published)
            });
            tokio::time::sleep(Duration::from_millis(close_ms)).await;
            bus.close(Deadline::within(Duration::from_millis(50))).await;
            let published = publisher.await.expect("the publisher does not panic");
            runners.join_all().await;

            let sums = bus.sums();
            assert_eq!((sums.accepted, sums.unended), (published * count, 0));
            let handled = handled.lock();
            assert_eq!(sums.handled, handled.len() as u64);
            for index in 0..count as usize {
                let own: Vec<u32> = handled.iter().filter(|h| h.0 == index).map(|h| h.1).collect();
                assert!(own.is_sorted_by(|a, b| a < b), "{own:?}");
            }
        });
    }
}

/// Many threads publish while subscribers come and go and the bus is closed under them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_or_reordered_in_a_race() {
    for round in 0..150_u64 {
        let bus = Bus::new();
        let mut readers = tokio::task::JoinSet::new();
        for capacity in [1, 7] {
            let mut subscription = subscribe(&bus, "stays", capacity);
            readers.spawn(async move {
                let mut seen = Vec::new();
                while let Some(delivery) = subscription.next().await {
                    seen.push(*delivery.payload());
                }
                seen
            });
        }
        let mut others = tokio::task::JoinSet::new();
        for publisher in 0..3_u32 {
            let topic = topic(&bus);
            others.spawn(async move {
                let mut number = publisher * 1_000_000;
                while topic.publish(number).await.is_ok() {
                    number += 1;
                }
            });
        }
        let leaver = topic(&bus);
        others.spawn(async move {
            while let Ok(mut subscription) = leaver.subscribe("leaves", 2) {
                let _ = timeout(Duration::from_micros(50), subscription.next()).await;
            }
        });
        tokio::time::sleep(Duration::from_micros(20 * (round % 100))).await;
        let drained = bus.close(Deadline::within(SOON)).await;
        let accepted = bus.sums().accepted;
        others.join_all().await;
        let seen = readers.join_all().await;
        assert_eq!(seen[0], seen[1], "round {round}");
        assert_eq!(bus.sums().unended, 0, "round {round}: {drained:?}");
        assert_eq!(bus.sums().accepted, accepted, "sent after closing");
    }
}
