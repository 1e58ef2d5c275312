use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use steadfast_base::{ContextMut, Deadline};
use tokio::sync::Semaphore;
use tokio::time::advance;
use tower::limit::ConcurrencyLimit;
use tower::{Layer, ServiceExt};

use super::*;
use crate::testing::{Callee, Request, success};
use crate::{Error, Rejection};

const REFUSED: Error<crate::testing::Failure> = Error::Rejected(Rejection::DeadlineExceeded);

fn request(remaining: Duration) -> Request {
    let mut request = Request::new(());
    request.set_deadline(Deadline::within(remaining));
    request
}

#[tokio::test(start_paused = true)]
async fn lets_through_what_is_in_time_or_has_no_deadline() {
    let layer = RefuseExpiredLayer::new(RefuseExpiredPolicy { share_max: 1.0 });
    let service = layer.layer(Callee::new(|_, _| async { success() }));
    assert!(service.clone().oneshot(Request::new(())).await.is_ok());
    assert!(service.clone().oneshot(request(Duration::from_nanos(1))).await.is_ok());
    assert_eq!(service.oneshot(request(Duration::ZERO)).await.err(), Some(REFUSED));
    assert_eq!(layer.counts(), ExpiredCounts { refused: 1, let_through: 0 });
}

#[tokio::test(start_paused = true)]
async fn refuses_no_more_than_the_share_and_a_thousand_calls_in_advance() {
    let layer = RefuseExpiredLayer::default();
    let callee = Callee::new(|_, _| async { success() });
    let calls = callee.calls();
    let service = layer.layer(callee);
    // Calm times save up no more than a thousand calls' worth.
    for _ in 0..5000 {
        assert!(service.clone().oneshot(request(Duration::from_secs(1))).await.is_ok());
    }
    let mut refused = 0;
    for _ in 0..1000 {
        refused += u32::from(service.clone().oneshot(request(Duration::ZERO)).await.is_err());
    }
    // 0.2 of a thousand were saved, and 0.2 of this thousand are earned.
    assert!((395..=405).contains(&refused), "{refused}");
    assert_eq!(calls.load(Ordering::Relaxed), 6000 - refused);
    assert_eq!(layer.counts().refused + layer.counts().let_through, 1000);
}

/// Calls wait for a place; when one comes free, those whose time has passed take none of the callee's.
#[tokio::test(start_paused = true)]
async fn calls_that_expired_in_a_queue_do_not_start() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let callee = Callee::new(move |_, _| {
        let gate = Arc::clone(&held);
        async move {
            let _permit = gate.acquire().await.expect("never closed");
            success()
        }
    });
    let calls = callee.calls();
    let layer = RefuseExpiredLayer::new(RefuseExpiredPolicy { share_max: 1.0 });
    let queue = ConcurrencyLimit::new(layer.layer(callee), 1);
    let send = |seconds| tokio::spawn(queue.clone().oneshot(request(Duration::from_secs(seconds))));
    let first = send(60);
    let called = async {
        while calls.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), called).await.expect("the first is called");
    let waiting = [send(1), send(60), send(1), send(1)];
    tokio::task::yield_now().await;
    advance(Duration::from_secs(2)).await;
    gate.add_permits(1);
    assert!(first.await.expect("no panic").is_ok());
    let mut answers = Vec::new();
    for answer in waiting {
        answers.push(answer.await.expect("no panic").err());
    }
    assert_eq!(answers, [Some(REFUSED), None, Some(REFUSED), Some(REFUSED)]);
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}
