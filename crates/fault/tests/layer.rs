//! What the layer does to calls, on the paused clock.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use steadfast_base::Seed;
use steadfast_fault::{Fault, FaultLayer, FaultService, Injector, LEASE_HEADER, LeaseId};
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

const MINUTE: Duration = Duration::from_secs(60);

/// Answers after 10 ms; counts its calls, and panics when it is called without having been ready.
#[derive(Debug, Default)]
struct Inner {
    calls: Arc<AtomicU64>,
    ready: bool,
}

impl Clone for Inner {
    // A clone is not ready because its original is.
    fn clone(&self) -> Self {
        Self { calls: self.calls.clone(), ready: false }
    }
}

impl Service<Request<()>> for Inner {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Response<String>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called before it was ready");
        let calls = self.calls.clone();
        Box::pin(async move {
            calls.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok(Response::new("done".to_owned()))
        })
    }
}

fn fault(json: &str) -> Fault {
    serde_json::from_str(json).expect(json)
}

fn id(text: &str) -> LeaseId {
    text.parse().expect("an id")
}

fn get() -> Request<()> {
    Request::get("/orders/1").body(()).expect("a request")
}

fn charge() -> Request<()> {
    let request = Request::post("/payment.v1.Payment/Charge").header("content-type", "application/grpc");
    request.body(()).expect("a request")
}

/// Calls the service once it is ready; returns the answer and how long it took.
async fn call(service: &mut FaultService<Inner>, request: Request<()>) -> (Response<String>, Duration) {
    let started = Instant::now();
    std::future::poll_fn(|cx| service.poll_ready(cx)).await.expect("infallible");
    (service.call(request).await.expect("infallible"), started.elapsed())
}

fn assert_took(took: Duration, millis: u64) {
    // The timer of tokio rounds up to whole milliseconds.
    assert!((millis..=millis + 3).contains(&(took.as_millis() as u64)), "{took:?} instead of {millis} ms");
}

#[tokio::test(start_paused = true)]
async fn an_idle_layer_passes_calls_through() {
    for layer in [FaultLayer::idle(), Injector::detached().layer()] {
        let mut service = layer.layer(Inner::default());
        let (response, took) = call(&mut service, get()).await;
        assert_eq!(response.into_body(), "done");
        assert_took(took, 10);
    }
}

#[tokio::test(start_paused = true)]
async fn a_delay_is_added_and_measured() {
    let injector = Injector::detached();
    let mut service = injector.layer().layer(Inner::default());
    injector
        .inject(&id("slow"), fault(r#"{"http":{"delay":"500ms","path":"/orders"}}"#), MINUTE, None)
        .expect("a lease");
    let (response, took) = call(&mut service, get()).await;
    assert_eq!((response.status().as_u16(), response.into_body().as_str()), (200, "done"));
    assert_took(took, 510);
    assert_took(call(&mut service, charge()).await.1, 10);
    let dose = injector.revoke(&id("slow")).expect("a lease").dose;
    assert_eq!((dose.seen, dose.affected, dose.delayed, dose.delayed_ms, dose.failed), (1, 1, 1, 500, 0));
    assert_took(call(&mut service, get()).await.1, 10);
}

#[tokio::test(start_paused = true)]
async fn jitter_spreads_the_delay_to_both_sides() {
    let injector = Injector::detached();
    let mut service = injector.layer().layer(Inner::default());
    let slow = fault(r#"{"http":{"delay":"300ms","jitter":"200ms"}}"#);
    injector.inject(&id("slow"), slow, MINUTE, None).expect("a lease");
    let mut times = Vec::new();
    for _ in 0..200 {
        times.push(call(&mut service, get()).await.1.as_millis());
    }
    let (least, most) = (times.iter().min().expect("some"), times.iter().max().expect("some"));
    assert!((110..150).contains(least) && (470..=513).contains(most), "{least} to {most}");
}

#[tokio::test(start_paused = true)]
async fn an_injected_answer_names_its_lease_and_hides_the_call() {
    let injector = Injector::detached();
    let inner = Inner::default();
    let mut service = injector.layer().layer(inner.clone());
    injector.inject(&id("run-1/http"), fault(r#"{"http":{"status":503}}"#), MINUTE, None).expect("a lease");
    let refuse = r#"{"grpc":{"status":"UNAVAILABLE","method":"Charge","delay":"50ms"}}"#;
    injector.inject(&id("run-1/grpc"), fault(refuse), MINUTE, None).expect("a lease");

    let (response, took) = call(&mut service, get()).await;
    assert_took(took, 0);
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()[LEASE_HEADER], "run-1/http");
    assert_eq!(response.body(), "");

    let (response, took) = call(&mut service, charge()).await;
    assert_took(took, 50);
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/grpc");
    assert_eq!(response.headers()["grpc-status"], "14");
    assert_eq!(response.headers()["grpc-message"], "injected by fault run-1/grpc");

    assert_eq!(inner.calls.load(Ordering::Relaxed), 0);
    let doses: Vec<_> =
        injector.leases().into_iter().map(|lease| (lease.dose.seen, lease.dose.failed)).collect();
    assert_eq!(doses, [(1, 1), (1, 1)]);
}

#[tokio::test(start_paused = true)]
async fn delays_of_several_leases_add_up_and_the_first_failure_hides_the_call_from_the_rest() {
    let injector = Injector::detached();
    let mut service = injector.layer().layer(Inner::default());
    for (name, json) in [
        ("a", r#"{"http":{"delay":"100ms"}}"#),
        ("b", r#"{"http":{"delay":"20ms","status":502}}"#),
        ("c", r#"{"http":{"delay":"1s","status":503}}"#),
    ] {
        injector.inject(&id(name), fault(json), MINUTE, None).expect("a lease");
    }
    let (response, took) = call(&mut service, get()).await;
    assert_took(took, 120);
    assert_eq!(response.status(), 502);
    assert_eq!(injector.revoke(&id("c")).expect("a lease").dose.seen, 0);
}

#[tokio::test(start_paused = true)]
async fn the_share_is_delivered_and_a_seed_repeats_it() {
    let injector = Injector::detached();
    let mut service = injector.layer().layer(Inner::default());
    let refuse = fault(r#"{"http":{"status":503,"percent":"30%"}}"#);
    let mut verdicts = Vec::new();
    for name in ["a", "b"] {
        injector.inject(&id(name), refuse.clone(), MINUTE, Some(Seed::new(7))).expect("a lease");
        let mut drawn = Vec::new();
        for _ in 0..4000 {
            drawn.push(call(&mut service, get()).await.0.status() == 503);
        }
        let dose = injector.revoke(&id(name)).expect("a lease").dose;
        assert_eq!((dose.seen, dose.affected), (4000, drawn.iter().filter(|failed| **failed).count() as u64));
        // Three standard deviations of 4000 draws are 87.
        assert!((1113..=1287).contains(&dose.affected), "{dose:?}");
        verdicts.push(drawn);
    }
    assert_eq!(verdicts[0], verdicts[1]);
}

#[tokio::test]
async fn revoking_a_lease_releases_the_calls_that_it_delays() {
    let injector = Injector::detached();
    let inner = Inner::default();
    let mut service = injector.layer().layer(inner.clone());
    injector.inject(&id("slow"), fault(r#"{"http":{"delay":"1h"}}"#), MINUTE, None).expect("a lease");
    let delayed = tokio::spawn(async move { call(&mut service, get()).await });
    let begins = async {
        while injector.leases()[0].dose.delayed == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), begins).await.expect("the call is delayed");
    injector.renew(&id("slow"), 2 * MINUTE).expect("a lease");
    // A call that goes on is counted at once, long before it has its answer.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(inner.calls.load(Ordering::Relaxed), 0, "it is delayed still");
    injector.revoke(&id("slow")).expect("a lease");
    let released = tokio::time::timeout(Duration::from_secs(30), delayed).await.expect("the call goes on");
    let (response, took) = released.expect("no panic");
    assert_eq!(response.status(), 200);
    assert!(took < Duration::from_secs(30), "{took:?}");
}

#[tokio::test]
async fn an_expired_lease_is_inert_though_nobody_ends_it() {
    let injector = Injector::detached();
    let mut service = injector.layer().layer(Inner::default());
    let refuse = fault(r#"{"http":{"status":503}}"#);
    let brief = Duration::from_millis(40);
    injector.inject(&id("refuse"), refuse, brief, None).expect("a lease");
    injector.inject(&id("slow"), fault(r#"{"grpc":{"delay":"1h"}}"#), brief, None).expect("a lease");
    // A call that is delayed when the lease expires goes on.
    assert!(call(&mut service, charge()).await.1 < Duration::from_secs(30));
    assert_eq!(call(&mut service, get()).await.0.status(), 200);
}

#[tokio::test]
async fn a_clone_is_called_only_when_it_is_ready_itself() {
    let injector = Injector::detached();
    let mut service = injector.layer().layer(Inner::default());
    std::future::poll_fn(|cx| service.poll_ready(cx)).await.expect("infallible");
    let mut clone = service.clone();
    assert_eq!(call(&mut clone, get()).await.0.status(), 200);
    injector.inject(&id("refuse"), fault(r#"{"http":{"status":503}}"#), MINUTE, None).expect("a lease");
    // The readiness that a failed call did not use is still there for the next one.
    assert_eq!(service.call(get()).await.expect("infallible").status(), 503);
    injector.revoke(&id("refuse")).expect("a lease");
    assert_eq!(service.call(get()).await.expect("infallible").status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_in_flight_during_a_stall_are_affected_by_it() {
    let injector = Injector::detached();
    let layer = injector.layer();
    let stall = fault(r#"{"runtime":{"stall":"50ms","every":"150ms"}}"#);
    injector.inject(&id("stall"), stall, MINUTE, None).expect("a lease");
    let dose = || injector.leases()[0].dose.clone();
    let mut calls = 0;
    // Calls take 10 ms, one after another, so some but not all are in flight during a stall.
    let began = Instant::now();
    while dose().stalls < 4 {
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", dose());
        call(&mut layer.layer(Inner::default()), get()).await;
        calls += 1;
    }
    let dose = injector.revoke(&id("stall")).expect("a lease").dose;
    assert_eq!(dose.seen, calls);
    // In flight during each of the four, and the first one after each.
    assert!((5..=10).contains(&dose.affected) && dose.affected < calls, "{dose:?}");
}
