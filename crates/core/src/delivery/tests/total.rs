use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tower::service_fn;

use super::feed::Feed;
use super::{Failure, handling, numbers};
use crate::delivery::{
    Cause, DeadLetters, Delivery, Dispatcher, Fate, Handling, LetterQuery, MemoryDeadLetters, Order, Settled,
};

#[tokio::test(start_paused = true)]
async fn messages_are_handled_in_order_and_a_failed_one_again_before_any_other() {
    let feed = Feed::of(numbers(0..100));
    let dispatcher = Dispatcher::new(Arc::clone(&feed), "numbers", "test", handling(Order::Total));
    let seen = Mutex::new(Vec::new());
    let start = Instant::now();
    dispatcher
        .run_fn(|delivery: Delivery<u64>| {
            let seen = &seen;
            async move {
                seen.lock().push((*delivery.payload(), delivery.attempt()));
                assert_eq!(delivery.remaining(), Some(Duration::from_secs(1)));
                assert_eq!(delivery.first_attempted(), start);
                if *delivery.payload() == 99 && delivery.attempt() == 1 {
                    Err(Failure("transient"))
                } else {
                    Ok(())
                }
            }
        })
        .await;
    let expected: Vec<_> = (0..100).map(|n| (n, 1)).chain([(99, 2)]).collect();
    assert_eq!(*seen.lock(), expected);
    assert_eq!(feed.with(Settled::Handled), (0..100).collect::<Vec<_>>());
    assert_eq!(start.elapsed(), Duration::from_millis(50));
    let metrics = dispatcher.metrics();
    assert_eq!((metrics.handled, metrics.retries, metrics.failures, metrics.in_hand), (100, 1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn every_way_to_fail_ends_as_a_dead_letter_that_says_so() {
    let feed = Feed::of(numbers(0..5));
    let letters = Arc::new(MemoryDeadLetters::<u64>::new(10));
    let handling = Handling { dead_letters: Arc::clone(&letters) as _, ..handling(Order::Total) };
    let dispatcher = Dispatcher::new(Arc::clone(&feed), "numbers", "test", handling);
    dispatcher
        .run_fn(|delivery: Delivery<u64>| async move {
            match delivery.payload() {
                0 => Err(Failure("permanent")),
                1 => Err(Failure("transient")),
                2 => panic!("two"),
                3 => std::future::pending().await,
                _ => Ok(()),
            }
        })
        .await;
    assert_eq!(feed.with(Settled::Handled), [4]);
    assert_eq!(feed.with(Settled::Dead), [0, 1, 2, 3]);
    let kept = letters.list(&LetterQuery::default()).await.expect("memory answers");
    let fates: Vec<_> = kept
        .into_iter()
        .map(|letter| match letter.fate {
            Fate::Dead { cause, attempts, .. } => (*letter.message.payload(), cause, attempts),
            Fate::Parked => panic!("nothing is parked under order Total"),
        })
        .collect();
    let failed = |reason: &str| Cause::Failed { reason: reason.to_owned() };
    assert_eq!(
        fates,
        [
            (0, failed("permanent"), 1),
            (1, failed("transient"), 3),
            (2, Cause::Panicked { reason: "two".to_owned() }, 3),
            (3, Cause::TimedOut, 3),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_dropped_run_had_in_hand_goes_to_the_next_run_with_its_attempt_counted() {
    let feed = Feed::of(numbers(0..3));
    let dispatcher = Dispatcher::new(Arc::clone(&feed), "numbers", "test", handling(Order::Total));
    for _ in 0..2 {
        let hang = dispatcher.run_fn(|_| std::future::pending::<Result<(), Infallible>>());
        assert!(tokio::time::timeout(Duration::from_millis(100), hang).await.is_err());
    }
    let seen = Mutex::new(Vec::new());
    let handler = service_fn(|delivery: Delivery<u64>| {
        seen.lock().push((*delivery.payload(), delivery.attempt()));
        async { Ok::<_, Infallible>(()) }
    });
    dispatcher.run(handler).await;
    assert_eq!(*seen.lock(), [(0, 3), (1, 1), (2, 1)]);
}

#[tokio::test(start_paused = true)]
async fn what_is_in_hand_when_the_dispatcher_is_dropped_is_released_in_order() {
    let feed = Feed::of(numbers(0..3));
    let dispatcher = Dispatcher::new(Arc::clone(&feed), "numbers", "test", handling(Order::Total));
    let hang = dispatcher.run_fn(|_| std::future::pending::<Result<(), Infallible>>());
    assert!(tokio::time::timeout(Duration::from_millis(100), hang).await.is_err());
    drop(dispatcher);
    assert_eq!(feed.with(Settled::Released), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_holds_what_came_in_time_and_fails_as_one() {
    let feed = Arc::new(Feed::default());
    let dispatcher = Dispatcher::new(Arc::clone(&feed), "numbers", "test", handling(Order::Total));
    let seen = Mutex::new(Vec::new());
    let handler = service_fn(|deliveries: Vec<Delivery<u64>>| {
        let batch: Vec<_> =
            deliveries.iter().map(|delivery| (*delivery.payload(), delivery.attempt())).collect();
        let failed = batch.contains(&(3, 1));
        seen.lock().push(batch);
        async move { if failed { Err(Failure("transient")) } else { Ok(()) } }
    });
    let send = async {
        (0..3).for_each(|n| feed.push(n));
        tokio::time::sleep(Duration::from_millis(60)).await;
        (3..5).for_each(|n| feed.push(n));
        feed.end();
    };
    tokio::join!(dispatcher.run_batches(handler, 2, Duration::from_millis(50)), send);
    assert_eq!(
        *seen.lock(),
        [vec![(0, 1), (1, 1)], vec![(2, 1)], vec![(3, 1), (4, 1)], vec![(3, 2), (4, 2)]]
    );
    assert_eq!(feed.with(Settled::Handled), [0, 1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn competing_runs_keep_the_order() {
    let feed = Feed::of(numbers(0..500));
    let dispatcher = Dispatcher::new(Arc::clone(&feed), "numbers", "test", handling(Order::Total));
    let run = || {
        dispatcher.run_fn(|delivery: Delivery<u64>| async move {
            if delivery.payload().is_multiple_of(3) {
                tokio::time::sleep(Duration::from_millis(*delivery.payload() % 7)).await;
            }
            Ok::<_, Infallible>(())
        })
    };
    tokio::join!(run(), run(), run());
    assert_eq!(feed.settled(), (0..500).map(|n| (n, Settled::Handled)).collect::<Vec<_>>());
}
