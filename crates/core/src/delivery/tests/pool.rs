//! Orders `PerKey` and `None`: who waits for whom.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use steadfast_base::{Class, Classify};
use tokio::time::Instant;
use tower::{Service, service_fn};

use super::feed::Feed;
use super::{Failure, handling};
use crate::delivery::{Delivery, Dispatcher, Handling, Message, Order, Settled};

fn keyed(numbers: impl IntoIterator<Item = u64>) -> impl Iterator<Item = Message<u64>> {
    numbers.into_iter().map(|number| Message::new(number).partition_key((number % 10).to_string()))
}

/// When each message was handled, in milliseconds, if number 1 fails twice.
async fn handled_at(order: Order) -> Vec<(u64, u128)> {
    let feed = Feed::of(keyed([1, 11, 2, 3]));
    let dispatcher = Dispatcher::new(Arc::clone(&feed), "numbers", "test", handling(order));
    let (start, handled) = (Instant::now(), Mutex::new(Vec::new()));
    dispatcher
        .run_fn(|delivery: Delivery<u64>| {
            let number = *delivery.payload();
            let failed = number == 1 && delivery.attempt() < 3;
            if !failed {
                handled.lock().push((number, start.elapsed().as_millis()));
            }
            async move { if failed { Err(Failure("transient")) } else { Ok(()) } }
        })
        .await;
    handled.into_inner()
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_repeated_holds_up_what_the_order_asks_for() {
    assert_eq!(handled_at(Order::Total).await, [(1, 150), (11, 150), (2, 150), (3, 150)]);
    assert_eq!(handled_at(Order::PerKey).await, [(2, 0), (3, 0), (1, 150), (11, 150)]);
    assert_eq!(handled_at(Order::None).await, [(11, 0), (2, 0), (3, 0), (1, 150)]);
}

#[tokio::test(start_paused = true)]
async fn no_more_handlers_work_than_allowed_and_one_that_is_late_makes_room() {
    for order in [Order::PerKey, Order::None] {
        let feed = Feed::of(keyed(0..10));
        let handling = Handling { concurrency: 3, ..handling(order) };
        let dispatcher = Dispatcher::new(Arc::clone(&feed), "numbers", "test", handling);
        let run = dispatcher.run_fn(|_| std::future::pending::<Result<(), Infallible>>());
        let look = async {
            tokio::time::sleep(Duration::from_millis(999)).await;
            let metrics = dispatcher.metrics();
            assert_eq!((metrics.in_flight, metrics.in_hand, metrics.failures), (3, 10, 0));
            assert_eq!(metrics.oldest_in_flight, Some(Duration::from_millis(999)));
            tokio::time::sleep(Duration::from_millis(2)).await;
            let metrics = dispatcher.metrics();
            assert_eq!((metrics.in_flight, metrics.failures), (3, 3));
            assert_eq!(metrics.time_in_handler, Duration::from_secs(3));
        };
        tokio::join!(run, look);
        assert_eq!(feed.with(Settled::Dead).len(), 10);
        let metrics = dispatcher.metrics();
        assert_eq!((metrics.dead, metrics.failures, metrics.retries), (10, 30, 20));
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_is_drawn_than_may_wait() {
    let feed = Arc::new(Feed::default());
    let handling = Handling { concurrency: 2, waiting_max: 5, ..handling(Order::PerKey) };
    let dispatcher = Dispatcher::new(Arc::clone(&feed), "numbers", "test", handling);
    // All of one key: one is at work, the others wait for it.
    (0..100).for_each(|number| feed.push(Message::new(number).partition_key("all")));
    let run = dispatcher.run_fn(|_| std::future::pending::<Result<(), Infallible>>());
    assert!(tokio::time::timeout(Duration::from_millis(500), run).await.is_err());
    assert!(dispatcher.metrics().in_hand <= 6, "{:?}", dispatcher.metrics());
    drop(dispatcher);
    let released = feed.with(Settled::Released);
    assert_eq!(released, (0..released.len() as u64).collect::<Vec<_>>());
}

/// A service that is ready only every other millisecond, and counts how often it was called when it was not.
#[derive(Clone, Default)]
struct Busy {
    ready: bool,
    called_unready: Arc<Mutex<u64>>,
}

impl Service<Delivery<u64>> for Busy {
    type Response = ();
    type Error = Infallible;
    type Future = std::future::Ready<Result<(), Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.ready {
            return Poll::Ready(Ok(()));
        }
        self.ready = true;
        let waker = cx.waker().clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            waker.wake();
        });
        Poll::Pending
    }

    fn call(&mut self, _: Delivery<u64>) -> Self::Future {
        *self.called_unready.lock() += u64::from(!std::mem::take(&mut self.ready));
        std::future::ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_not_ready_is_waited_for_and_no_attempt_is_counted() {
    for order in [Order::Total, Order::PerKey, Order::None] {
        let feed = Feed::of(keyed(0..20));
        let dispatcher = Dispatcher::new(Arc::clone(&feed), "numbers", "test", handling(order));
        let busy = Busy::default();
        tokio::join!(dispatcher.run(busy.clone()), dispatcher.run(busy.clone()));
        assert_eq!(feed.with(Settled::Handled).len(), 20, "{order:?}");
        let metrics = dispatcher.metrics();
        assert_eq!((metrics.retries, metrics.failures, *busy.called_unready.lock()), (0, 0, 0), "{order:?}");
    }
}

/// A service whose readiness fails or panics.
struct Unready(bool);

impl Service<Delivery<u64>> for Unready {
    type Response = ();
    type Error = Failure;
    type Future = BoxFuture<'static, Result<(), Failure>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if self.0 { panic!("not ready, ever") } else { Poll::Ready(Err(Failure("transient"))) }
    }

    fn call(&mut self, _: Delivery<u64>) -> Self::Future {
        unreachable!("it is never ready")
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_to_get_ready_has_failed() {
    for order in [Order::Total, Order::PerKey, Order::None] {
        for panics in [false, true] {
            let feed = Feed::of(keyed(0..3));
            let dispatcher = Dispatcher::new(Arc::clone(&feed), "numbers", "test", handling(order));
            dispatcher.run(Unready(panics)).await;
            assert_eq!(feed.with(Settled::Dead).len(), 3, "{order:?}");
            assert_eq!(dispatcher.metrics().failures, 9);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_holds_messages_of_a_key_in_order_and_waits_for_more_no_longer_than_allowed() {
    for order in [Order::PerKey, Order::None] {
        let feed = Arc::new(Feed::default());
        let dispatcher = Dispatcher::new(Arc::clone(&feed), "numbers", "test", handling(order));
        let (start, seen) = (Instant::now(), Mutex::new(Vec::new()));
        let handler = service_fn(|batch: Vec<Delivery<u64>>| {
            let numbers: Vec<u64> = batch.iter().map(|delivery| *delivery.payload()).collect();
            seen.lock().push((start.elapsed().as_millis(), numbers));
            async { Ok::<_, Infallible>(()) }
        });
        let send = async {
            keyed([1, 11, 21, 31]).for_each(|message| feed.push(message));
            tokio::time::sleep(Duration::from_millis(100)).await;
            keyed([41]).for_each(|message| feed.push(message));
            feed.end();
        };
        tokio::join!(dispatcher.run_batches(handler, 3, Duration::from_millis(50)), send);
        assert_eq!(*seen.lock(), [(0, vec![1, 11, 21]), (50, vec![31]), (100, vec![41])], "{order:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_that_says_when_to_come_again_is_heeded() {
    #[derive(Debug, thiserror::Error)]
    #[error("overloaded")]
    struct Overloaded;
    impl steadfast_base::Classify for Overloaded {
        fn classify(&self) -> Class {
            Class::Transient
        }
        fn retry_after(&self) -> Option<Duration> {
            Some(Duration::from_secs(7))
        }
    }
    for order in [Order::Total, Order::PerKey, Order::None] {
        let feed = Feed::of(keyed([1]));
        let dispatcher = Dispatcher::new(Arc::clone(&feed), "numbers", "test", handling(order));
        let start = Instant::now();
        let first = |delivery: Delivery<u64>| async move {
            if delivery.attempt() == 1 { Err(Overloaded) } else { Ok(()) }
        };
        dispatcher.run_fn(first).await;
        assert_eq!(start.elapsed(), Duration::from_secs(7), "{order:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_dropped_leaves_its_work_to_the_others() {
    for order in [Order::PerKey, Order::None] {
        let feed = Feed::of(keyed(0..40));
        let dispatcher = Dispatcher::new(Arc::clone(&feed), "numbers", "test", handling(order));
        let seen = Mutex::new(HashSet::new());
        let hang = dispatcher.run_fn(|_| std::future::pending::<Result<(), Infallible>>());
        let work = dispatcher.run_fn(|delivery: Delivery<u64>| {
            seen.lock().insert((*delivery.payload(), delivery.attempt()));
            async { Ok::<_, Infallible>(()) }
        });
        let hang = tokio::time::timeout(Duration::from_millis(10), hang);
        let (hung, ()) = tokio::join!(hang, work);
        assert!(hung.is_err());
        assert_eq!(feed.with(Settled::Handled).len(), 40);
        assert!(seen.lock().iter().any(|(_, attempt)| *attempt == 2), "the dropped attempts are counted");
    }
}

#[derive(Debug, thiserror::Error)]
#[error("not before the end of time")]
struct NeverAgain;

impl Classify for NeverAgain {
    fn classify(&self) -> Class {
        Class::Transient
    }

    fn retry_after(&self) -> Option<Duration> {
        Some(Duration::MAX)
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_that_asks_for_a_wait_beyond_all_time_is_not_repeated_at_once() {
    for order in [Order::Total, Order::PerKey, Order::None] {
        let feed = Feed::of(keyed([1]));
        let dispatcher = Dispatcher::new(Arc::clone(&feed), "numbers", "test", handling(order));
        let attempts = Mutex::new(0);
        let run = dispatcher.run_fn(|_| {
            *attempts.lock() += 1;
            async { Err(NeverAgain) }
        });
        let ended = tokio::time::timeout(Duration::from_secs(86_400), run).await;
        assert!(ended.is_err() && *attempts.lock() == 1, "{order:?}: {attempts:?}");
    }
}
