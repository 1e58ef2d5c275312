//! The guard before a service.

use std::sync::atomic::Ordering;
use std::time::Duration;

use steadfast_base::{Classify, ContextMut, Deadline, Priority, Seed};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tower::{Layer, Service, ServiceExt};

use crate::shed::{Error, Shed, ShedLayer, ShedPolicy, ShedService};
use crate::testing::{Answer, Callee, Request, TRANSIENT, success};
use crate::{Error as Guarded, Rejection};

const MS: Duration = Duration::from_millis(1);

/// One at a time, whatever is measured.
const POLICY: ShedPolicy = ShedPolicy {
    limit_initial: 1,
    limit_min: 1,
    limit_max: 1,
    tolerance: 1.5,
    window: Duration::from_millis(100),
    samples_min: 1,
    probe_every: Duration::from_secs(1000),
    queue_max: 3,
    wait_max: Duration::from_millis(100),
    wait_target: Duration::from_millis(5),
};

fn shed(policy: ShedPolicy) -> Shed {
    Shed::new("test", policy, Seed::new(1))
}

/// Makes a call in a task of its own, which has got as far as it can when this returns.
async fn begin<S>(service: &ShedService<S>, request: Request) -> JoinHandle<(Answer, Duration)>
where
    S: Service<Request, Response = http::Response<()>, Error = Guarded<crate::testing::Failure>>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    let (service, start) = (service.clone(), Instant::now());
    let task = tokio::spawn(async move { (service.oneshot(request).await, start.elapsed()) });
    tokio::task::yield_now().await;
    task
}

fn rejection(answer: Answer) -> Rejection {
    answer.expect_err("it was refused").rejection().expect("by a guard")
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_the_interval_and_in_a_standing_queue_for_the_target() {
    let shed = shed(POLICY);
    let service = ShedLayer::new(shed.clone()).layer(Callee::new(|_, _| async {
        sleep(60 * MS).await;
        success()
    }));
    let _first = begin(&service, Request::new(())).await;
    let second = begin(&service, Request::new(())).await;
    let third = begin(&service, Request::new(())).await;
    assert!(second.await.expect("it ends").0.is_ok(), "60 ms are less than the interval");
    let (refused, took) = third.await.expect("it ends");
    assert_eq!(rejection(refused), Rejection::Shed(Error::Waited));
    assert!((100 * MS..=103 * MS).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn in_a_standing_queue_the_newest_goes_first_and_the_old_are_dropped() {
    let shed = shed(ShedPolicy { queue_max: 100, ..POLICY });
    let service = ShedLayer::new(shed.clone()).layer(Callee::new(|_, _| async {
        sleep(60 * MS).await;
        success()
    }));
    // One runs until 60 ms, the next until 120 ms; the queue is not empty from 20 ms on.
    let mut tasks = Vec::new();
    for _ in 0..6 {
        tasks.push(begin(&service, Request::new(())).await);
        sleep(20 * MS).await;
    }
    for task in tasks.drain(2..) {
        let (refused, took) = task.await.expect("it ends");
        assert_eq!(rejection(refused), Rejection::Shed(Error::Waited));
        assert!(took <= 85 * MS, "dropped at once, long before the interval: {took:?}");
    }
    // What came just before there was room is served.
    let (shed, start) = (shed, Instant::now());
    while shed.snapshot().in_flight > 0 {
        sleep(MS).await;
    }
    assert!(start.elapsed() <= 62 * MS);
    assert_eq!(shed.snapshot().admitted, 2);
}

#[tokio::test(start_paused = true)]
async fn what_matters_less_is_shed_first() {
    let shed = shed(ShedPolicy { wait_max: Duration::from_secs(10), ..POLICY });
    let service = ShedLayer::new(shed.clone()).layer(Callee::new(|_, _| async {
        sleep(60 * MS).await;
        success()
    }));
    let with = |priority: Priority| {
        let mut request = Request::new(());
        request.extensions_mut().insert(priority);
        request
    };
    let _running = begin(&service, Request::new(())).await;
    let mut sheddable = Vec::new();
    for _ in 0..3 {
        sheddable.push(begin(&service, with(Priority::Sheddable)).await);
    }
    let mut critical = Vec::new();
    for _ in 0..3 {
        critical.push(begin(&service, with(Priority::Critical)).await);
    }
    for task in sheddable {
        assert_eq!(rejection(task.await.expect("it ends").0), Rejection::Shed(Error::Full));
    }
    assert_eq!(
        rejection(begin(&service, with(Priority::Critical)).await.await.expect("it ends").0).retry_after(),
        None
    );
    for task in critical {
        assert!(task.await.expect("it ends").0.is_ok());
    }
    assert_eq!(shed.snapshot().shed, [3, 0, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn room_is_given_back_and_a_call_dropped_after_its_deadline_counts_as_slow() {
    let shed = shed(ShedPolicy { limit_initial: 10, limit_max: 10, ..POLICY });
    let callee = Callee::new(|n, _| async move {
        sleep(if n == 0 { 10 * MS } else { Duration::from_secs(9) }).await;
        success()
    });
    let mut service = ShedLayer::new(shed.clone()).layer(callee);
    sleep(100 * MS).await;
    assert!(service.ready().await.expect("ready").call(Request::new(())).await.is_ok());
    let baseline = shed.snapshot().baseline.expect("the first call was measured");
    for has_deadline in [false, true] {
        for _ in 0..5 {
            let mut request = Request::new(());
            if has_deadline {
                request.set_deadline(Deadline::within(150 * MS));
            }
            let call = service.ready().await.expect("ready").call(request);
            assert!(timeout(200 * MS, call).await.is_err());
            assert_eq!(shed.snapshot().in_flight, 0);
        }
        let limit = shed.snapshot().limit;
        assert_eq!(limit < 10, has_deadline, "{limit}");
    }
    assert_eq!(shed.snapshot().baseline, Some(baseline));
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_handed_on_as_it_is() {
    let callee = Callee::new(|_, _| async { Err(TRANSIENT) });
    let calls = callee.calls();
    let service = ShedLayer::new(shed(POLICY)).layer(callee);
    assert_eq!(service.oneshot(Request::new(())).await.err(), Some(TRANSIENT));
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}
