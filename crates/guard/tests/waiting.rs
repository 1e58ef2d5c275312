//! A call that waits for its turn holds nothing of the service within, whoever owns the service that made it.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use steadfast_base::{Budget, Seed};
use steadfast_guard::testing::contract::{Control, Guarded, Request, examine};
use steadfast_guard::{
    Bulkhead, BulkheadLayer, BulkheadPolicy, Quota, RateLimitLayer, RateLimitPolicy, RateLimiter, RetryLayer,
    RetryPolicy, Shed, ShedLayer, ShedPolicy,
};
use tower::{Layer, ServiceExt, service_fn};

/// Waits longer than any test.
fn retry() -> RetryLayer {
    let policy = RetryPolicy {
        backoff: steadfast_base::Backoff { initial: Duration::from_secs(60), ..Default::default() },
        ..RetryPolicy::default()
    };
    RetryLayer::new(policy, Arc::new(Budget::default()), Seed::new(1))
}

fn bulkhead(queue_max: usize) -> BulkheadLayer {
    let policy = BulkheadPolicy { concurrency_max: 1, queue_max, ..BulkheadPolicy::default() };
    BulkheadLayer::new(Bulkhead::new("test", policy))
}

/// Makes two calls, of which the second waits for the first while both are polled, and lets both end.
fn two_calls<S: Guarded>(
    mut service: S,
    control: &Control,
) -> Result<(), steadfast_guard::testing::contract::Broken> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut call = |number| {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut cx).is_ready(), "call {number} finds the service within ready");
        service.call(Request::new(number))
    };
    let mut first = pin!(call(0));
    assert!(first.as_mut().poll(&mut cx).is_pending());
    assert_eq!(control.taken(), 1, "the first is under way");
    let mut second = pin!(call(1));
    assert!(second.as_mut().poll(&mut cx).is_pending());
    assert_eq!((control.taken(), control.arrived(1)), (1, 0), "the second waits and holds nothing");
    control.answer(0, Ok(http::Response::new(0)));
    assert!(first.as_mut().poll(&mut cx).is_ready());
    let _ = second.as_mut().poll(&mut cx);
    Ok(())
}

#[test]
fn a_queued_call_holds_nothing_of_the_service_within() {
    for wraps in [true, false] {
        let whole = |inner| {
            let guarded = bulkhead(3).layer(inner);
            // A retry owns the service that made the call for as long as it takes.
            if wraps {
                tower::util::Either::Left(retry().layer(guarded))
            } else {
                tower::util::Either::Right(guarded)
            }
        };
        examine(whole, two_calls).expect("the contract is kept");
    }
    let policy = ShedPolicy { limit_initial: 1, limit_min: 1, limit_max: 1, ..ShedPolicy::default() };
    examine(
        |inner| retry().layer(ShedLayer::new(Shed::new("test", policy, Seed::new(1))).layer(inner)),
        two_calls,
    )
    .expect("the contract is kept");
}

#[test]
fn a_call_that_waits_for_its_quota_holds_nothing_of_the_service_within() {
    let limit = RateLimiter::new(Quota::per_minute(1));
    let policy = RateLimitPolicy { wait_max: Duration::from_secs(600) };
    let limit = RateLimitLayer::new(limit).with_policy(policy);
    examine(|inner| retry().layer(limit.layer(inner)), two_calls).expect("the contract is kept");
}

#[test]
fn a_call_that_waits_to_be_repeated_holds_nothing_of_the_service_within() {
    // The second is refused, for there is no queue.
    examine(|inner| retry().layer(bulkhead(0).layer(inner)), two_calls).expect("the contract is kept");
}

/// The places of the limit within are fewer than the calls that wait: were they held by those, nobody could go on.
#[tokio::test(start_paused = true)]
async fn more_calls_wait_than_a_limit_within_has_places() {
    let within =
        tower::limit::GlobalConcurrencyLimitLayer::new(2).layer(service_fn(async |_: http::Request<()>| {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok::<_, steadfast_guard::Error<steadfast_guard::testing::Failure>>(http::Response::new(()))
        }));
    let policy = BulkheadPolicy {
        concurrency_max: 1,
        queue_max: 100,
        newest_first_after: Duration::MAX,
        ..BulkheadPolicy::default()
    };
    let service = retry().layer(BulkheadLayer::new(Bulkhead::new("test", policy)).layer(within));
    let calls: Vec<_> =
        (0..50).map(|_| tokio::spawn(service.clone().oneshot(http::Request::new(())))).collect();
    for call in calls {
        let ended = tokio::time::timeout(Duration::from_secs(5), call).await;
        assert!(matches!(ended, Ok(Ok(Ok(_)))), "{ended:?}");
    }
}
