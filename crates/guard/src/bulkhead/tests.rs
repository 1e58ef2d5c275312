use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use steadfast_base::{Classify, ContextMut, Deadline, Priority};
use tokio::time::{Instant, sleep, timeout};
use tower::{Layer, Service, ServiceExt};

use super::*;
use crate::Rejection;
use crate::testing::{Answer, Callee, Request, success};

const MS: Duration = Duration::from_millis(1);

const POLICY: BulkheadPolicy = BulkheadPolicy {
    concurrency_max: 1,
    queue_max: 3,
    wait_max: Duration::from_millis(500),
    newest_first_after: Duration::MAX,
};

/// A bulkhead around a callee that takes 100 ms, and the paths in the order in which they got there.
struct Bed<S> {
    bulkhead: Bulkhead,
    service: S,
    order: Arc<Mutex<Vec<String>>>,
}

type Failed = crate::Error<crate::testing::Failure>;

fn bed(
    policy: BulkheadPolicy,
) -> Bed<impl Service<Request, Response = http::Response<()>, Error = Failed, Future: Send + 'static> + Clone>
{
    let bulkhead = Bulkhead::new("test", policy);
    let order = Arc::<Mutex<Vec<String>>>::default();
    let seen = Arc::clone(&order);
    let callee = Callee::new(move |_, request: Request| {
        seen.lock().push(request.uri().path().trim_start_matches('/').to_owned());
        async {
            sleep(100 * MS).await;
            success()
        }
    });
    Bed { service: BulkheadLayer::new(bulkhead.clone()).layer(callee), bulkhead, order }
}

fn request(path: &str) -> Request {
    http::Request::get(format!("/{path}")).body(()).expect("a valid request")
}

impl<S> Bed<S>
where
    S: Service<Request, Response = http::Response<()>, Error = Failed, Future: Send + 'static> + Clone,
{
    /// Makes a call in a task of its own, which has got as far as it can when this returns.
    async fn begin(&self, request: Request) -> tokio::task::JoinHandle<(Answer, Duration)>
    where
        S: Send + 'static,
    {
        let (service, start) = (self.service.clone(), Instant::now());
        let task = tokio::spawn(async move { (service.oneshot(request).await, start.elapsed()) });
        tokio::task::yield_now().await;
        task
    }

    /// Makes a call that nobody polls yet.
    fn call(&mut self) -> S::Future {
        self.service.call(request("x"))
    }

    fn order(&self) -> String {
        self.order.lock().concat()
    }
}

fn rejection(answer: Answer) -> Rejection {
    answer.expect_err("it was refused").rejection().expect("by a guard")
}

#[tokio::test(start_paused = true)]
async fn only_so_many_at_a_time_and_the_queue_is_bounded() {
    let bed = bed(POLICY);
    let tasks = [
        bed.begin(request("a")).await,
        bed.begin(request("b")).await,
        bed.begin(request("c")).await,
        bed.begin(request("d")).await,
    ];
    let (refused, took) = bed.begin(request("e")).await.await.expect("it ends");
    assert_eq!((rejection(refused), took), (Rejection::Bulkhead(Error::Full), Duration::ZERO));
    assert_eq!((bed.bulkhead.snapshot().in_flight, bed.bulkhead.snapshot().queued), (1, 3));
    for (place, task) in tasks.into_iter().enumerate() {
        let (answer, took) = task.await.expect("it ends");
        let due = 100 * MS * (place as u32 + 1);
        assert!(answer.is_ok() && took >= due && took <= due + 5 * MS, "{took:?}");
    }
    assert_eq!(bed.order(), "abcd", "first in, first out");
    let snapshot = bed.bulkhead.snapshot();
    assert_eq!((snapshot.in_flight, snapshot.queued, snapshot.admitted, snapshot.refused), (0, 0, 4, 1));
}

#[tokio::test(start_paused = true)]
async fn under_overload_the_newest_goes_first_and_takes_the_place_of_the_oldest() {
    let bed = bed(BulkheadPolicy { newest_first_after: 50 * MS, ..POLICY });
    let _a = bed.begin(request("a")).await;
    let oldest = bed.begin(request("b")).await;
    for path in ["c", "d"] {
        drop(bed.begin(request(path)).await);
    }
    assert_eq!(
        rejection(bed.begin(request("e")).await.await.expect("it ends").0),
        Rejection::Bulkhead(Error::Full)
    );
    sleep(60 * MS).await;
    drop(bed.begin(request("f")).await);
    let (refused, took) = oldest.await.expect("it ends");
    assert_eq!(rejection(refused), Rejection::Bulkhead(Error::Full));
    assert!(took < 70 * MS, "it hears of it at once: {took:?}");
    sleep(400 * MS).await;
    assert_eq!(bed.order(), "afdc");
}

#[tokio::test(start_paused = true)]
async fn overload_goes_on_when_the_only_one_in_the_queue_has_waited_too_long() {
    let bed = bed(BulkheadPolicy { newest_first_after: 50 * MS, wait_max: 60 * MS, ..POLICY });
    let _a = bed.begin(request("a")).await;
    let (refused, took) = bed.begin(request("b")).await.await.expect("it ends");
    assert!(rejection(refused) == Rejection::Bulkhead(Error::Waited { after: 60 * MS }), "{took:?}");
    for path in ["c", "d"] {
        drop(bed.begin(request(path)).await);
    }
    sleep(60 * MS).await;
    assert_eq!(bed.order(), "ad", "the newest goes first");
}

#[tokio::test(start_paused = true)]
async fn what_matters_more_goes_first_and_takes_the_place_of_what_matters_less() {
    let bed = bed(POLICY);
    let with = |path, priority| {
        let mut request = request(path);
        request.extensions_mut().insert(priority);
        request
    };
    let _a = bed.begin(request("a")).await;
    let _s = bed.begin(with("s", Priority::Sheddable)).await;
    let last = bed.begin(with("t", Priority::Sheddable)).await;
    let _c = bed.begin(with("c", Priority::Critical)).await;
    let refused = bed.begin(with("u", Priority::Sheddable)).await.await.expect("it ends").0;
    assert_eq!(rejection(refused), Rejection::Bulkhead(Error::Full));
    let _p = bed.begin(with("p", Priority::CriticalPlus)).await;
    assert_eq!(rejection(last.await.expect("it ends").0), Rejection::Bulkhead(Error::Full));
    sleep(450 * MS).await;
    assert_eq!(bed.order(), "apcs");
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_the_policy_and_with_the_deadline() {
    let bed = bed(BulkheadPolicy { wait_max: 50 * MS, ..POLICY });
    let _a = bed.begin(request("a")).await;
    let (refused, took) = bed.begin(request("b")).await.await.expect("it ends");
    let refused = rejection(refused);
    assert_eq!(refused, Rejection::Bulkhead(Error::Waited { after: 50 * MS }));
    assert!(refused.classify().is_retryable() && took <= 52 * MS, "{took:?}");

    let _c = bed.begin(request("c")).await;
    let mut late = request("d");
    late.set_deadline(Deadline::within(20 * MS));
    let (refused, took) = bed.begin(late).await.await.expect("it ends");
    assert_eq!(rejection(refused), Rejection::DeadlineExceeded);
    assert!(took <= 22 * MS, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn room_is_given_back_by_whoever_goes_away() {
    let mut bed = bed(POLICY);
    for _ in 0..10 {
        bed.service.ready().await.expect("ready");
        // One that runs, one that waits: both are dropped while they do.
        let running = bed.call();
        bed.service.ready().await.expect("ready");
        let waiting = bed.call();
        assert!(timeout(MS, async { tokio::join!(running, waiting) }).await.is_err());
        let snapshot = bed.bulkhead.snapshot();
        assert_eq!((snapshot.in_flight, snapshot.queued), (0, 0));
    }

    // One that was let in and goes away before it hears of it hands its room on.
    let running = bed.begin(request("r")).await;
    bed.service.ready().await.expect("ready");
    let heard_nothing = bed.call();
    let last = bed.begin(request("l")).await;
    assert!(running.await.expect("it ends").0.is_ok());
    drop(heard_nothing);
    assert!(last.await.expect("it ends").0.is_ok());
    assert_eq!(bed.bulkhead.snapshot().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_clone_that_was_polled_ready_and_is_never_called_holds_nothing() {
    let bed = bed(POLICY);
    let mut clones: Vec<_> = (0..5).map(|_| bed.service.clone()).collect();
    for clone in &mut clones {
        clone.ready().await.expect("ready");
    }
    assert_eq!(bed.bulkhead.snapshot().in_flight, 0);
    let calls = clones.iter_mut().map(|clone| clone.call(request("x"))).take(3).collect::<Vec<_>>();
    for call in calls {
        assert!(call.await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_nobody_waits_and_more_room_lets_in_who_does() {
    let none = bed(BulkheadPolicy { queue_max: 0, concurrency_max: 0, ..POLICY });
    let _a = none.begin(request("a")).await;
    assert_eq!(rejection(none.service.clone().oneshot(request("b")).await), Rejection::Bulkhead(Error::Full));

    let bed = bed(POLICY);
    let _a = bed.begin(request("a")).await;
    let waiting = bed.begin(request("b")).await;
    bed.bulkhead.set_concurrency(2);
    assert!(waiting.await.expect("it ends").1 <= 102 * MS);
    bed.bulkhead.set_concurrency(0);
    assert_eq!(bed.bulkhead.snapshot().concurrency_max, 1);
}

#[tokio::test(start_paused = true)]
async fn many_tasks_on_many_threads_lose_no_room() {
    let callee = Callee::new(|_, _| async {
        tokio::task::yield_now().await;
        success()
    });
    let calls = callee.calls();
    let bulkhead = Bulkhead::new("test", BulkheadPolicy { concurrency_max: 3, queue_max: 1000, ..POLICY });
    let service = BulkheadLayer::new(bulkhead.clone()).layer(callee);
    let tasks: Vec<_> = (0..500).map(|_| tokio::spawn(service.clone().oneshot(Request::new(())))).collect();
    for task in tasks {
        assert!(task.await.expect("it ends").is_ok());
    }
    assert_eq!((calls.load(Ordering::Relaxed), bulkhead.snapshot().in_flight), (500, 0));
}
