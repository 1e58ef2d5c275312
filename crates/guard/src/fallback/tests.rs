use std::sync::atomic::Ordering;
use std::time::Duration;

use steadfast_base::{Class, ContextMut, Deadline};
use tokio::time::advance;
use tower::{Layer, ServiceExt};

use super::*;
use crate::testing::{Answer, Callee, Failure, PERMANENT, Request, TRANSIENT, success};
use crate::{Error, Rejection};

const SECOND: Duration = Duration::from_secs(1);

/// An answer that can be told from others.
fn teapot() -> http::Response<()> {
    http::Response::builder().status(418).body(()).expect("a valid response")
}

fn status(status: u16) -> Answer {
    Ok(http::Response::builder().status(status).body(()).expect("a valid response"))
}

fn code(answer: &Answer) -> Option<u16> {
    answer.as_ref().ok().map(|response| response.status().as_u16())
}

#[tokio::test]
async fn a_value_stands_in_for_every_failure_and_for_nothing_else() {
    let layer = FallbackLayer::value(|_: &Answer| Some(teapot()));
    for (answer, expected) in [
        (Err(TRANSIENT), Some(418)),
        (Err(PERMANENT), Some(418)),
        (Err(Rejection::DeadlineExceeded.into()), Some(418)),
        (status(503), Some(418)),
        (success(), Some(200)),
        (status(404), Some(404)),
        (Err(Error::Inner(Failure(Class::Success))), None),
    ] {
        let answer = parking_lot::Mutex::new(Some(answer));
        let callee = Callee::new(move |_, _| std::future::ready(answer.lock().take().expect("one call")));
        assert_eq!(code(&layer.layer(callee).oneshot(Request::new(())).await), expected);
    }
    assert_eq!(layer.substituted(), 4);
}

#[tokio::test]
async fn a_value_can_be_for_some_failures_only() {
    let layer =
        FallbackLayer::value(|failure: &Answer| (failure.as_ref().err() == Some(&TRANSIENT)).then(teapot));
    for (failure, expected) in [(TRANSIENT, Some(418)), (PERMANENT, None)] {
        let callee = Callee::new(|_, _| std::future::ready(Err(failure.clone())));
        let answer = layer.layer(callee).oneshot(Request::new(())).await;
        assert_eq!(code(&answer), expected);
        assert_eq!(answer.err(), expected.is_none().then_some(failure), "the failure is handed on as it was");
    }
    assert_eq!(layer.substituted(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_last_good_answer_is_that_to_the_same_question_and_not_too_old() {
    let policy = LastGoodPolicy { entries_max: 10, age_max: 10 * SECOND };
    let key =
        |request: &Request| (request.method() == http::Method::GET).then(|| request.uri().path().to_owned());
    let layer: FallbackLayer<LastGood<_, _, http::Response<()>>> = FallbackLayer::last_good(policy, key);
    let ask = async |method: &str, path: &str, answer: fn() -> Answer| {
        let request = http::Request::builder().method(method).uri(path).body(()).expect("a valid request");
        code(&layer.layer(Callee::new(move |_, _| async move { answer() })).oneshot(request).await)
    };
    assert_eq!(ask("GET", "/a", || Err(TRANSIENT)).await, None, "there was none yet");
    assert_eq!(ask("GET", "/a", || status(203)).await, Some(203));
    assert_eq!(ask("POST", "/a", || status(204)).await, Some(204));
    assert_eq!(ask("GET", "/a", || Err(TRANSIENT)).await, Some(203));
    assert_eq!(ask("GET", "/a", || status(500)).await, Some(203));
    assert_eq!(ask("GET", "/b", || Err(TRANSIENT)).await, None);
    assert_eq!(ask("POST", "/a", || Err(TRANSIENT)).await, None, "it has no key");

    advance(9 * SECOND).await;
    assert_eq!(ask("GET", "/a", || Err(TRANSIENT)).await, Some(203));
    advance(2 * SECOND).await;
    assert_eq!(ask("GET", "/a", || Err(TRANSIENT)).await, None, "what stands in makes nothing younger");
    assert_eq!(layer.substituted(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_stands_in_is_marked_with_its_age_and_a_fresh_one_is_not() {
    let key = |request: &Request| Some(request.uri().path().to_owned());
    let mark = |answer: &mut http::Response<()>, age: Duration| {
        answer.headers_mut().insert("age", age.as_secs().into());
    };
    let layer: FallbackLayer<LastGood<_, _, http::Response<()>>> =
        FallbackLayer::last_good_marked(LastGoodPolicy::default(), key, mark);
    let age = async |answer: fn() -> Answer| {
        let service = layer.layer(Callee::new(move |_, _| async move { answer() }));
        let answer = service.oneshot(Request::new(())).await.expect("there is an answer");
        answer.headers().get("age").map(|age| age.to_str().expect("a number").to_owned())
    };
    assert_eq!(age(success).await, None);
    advance(7 * SECOND).await;
    assert_eq!(age(|| Err(TRANSIENT)).await, Some("7".to_owned()));
    advance(SECOND).await;
    assert_eq!(age(|| Err(TRANSIENT)).await, Some("8".to_owned()), "what is kept is not marked");
    assert_eq!(age(success).await, None);
}

#[tokio::test]
async fn the_memory_of_last_good_answers_is_bounded() {
    let policy = LastGoodPolicy { entries_max: 50, age_max: SECOND };
    let layer: FallbackLayer<LastGood<_, _, http::Response<()>>> =
        FallbackLayer::last_good(policy, |request: &Request| Some(request.uri().path().to_owned()));
    let mut kept = 0;
    for failing in [false, true] {
        for n in 0..1000 {
            let request = http::Request::get(format!("/{n}")).body(()).expect("a valid request");
            let callee =
                Callee::new(move |_, _| async move { if failing { Err(TRANSIENT) } else { success() } });
            kept += u32::from(layer.layer(callee).oneshot(request).await.is_ok() && failing);
        }
    }
    assert!((1..=50).contains(&kept), "{kept}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_a_degraded_service_whose_status_is_a_failure_does_not_hide_the_first() {
    let layer = FallbackLayer::degraded(Callee::new(|_, _| async { status(503) }));
    let request = || http::Request::get("/a").body(()).expect("a valid request");
    let failing = layer.layer(Callee::new(|_, _| async { Err(TRANSIENT) }));
    assert_eq!(failing.oneshot(request()).await.err(), Some(TRANSIENT));
    let failing = layer.layer(Callee::new(|_, _| async { status(500) }));
    assert_eq!(code(&failing.oneshot(request()).await), Some(500));
}

#[tokio::test(start_paused = true)]
async fn a_degraded_service_gets_the_request_and_its_failure_does_not_hide_the_first() {
    let degraded = Callee::new(|n, request: Request| async move {
        if n == 1 {
            return Err(PERMANENT);
        }
        assert_eq!(request.uri().path(), "/a");
        Ok(teapot())
    });
    let calls = degraded.calls();
    let layer = FallbackLayer::degraded(degraded);
    let request = || http::Request::get("/a").body(()).expect("a valid request");
    let failing = || layer.layer(Callee::new(|_, _| async { Err(TRANSIENT) }));

    assert_eq!(code(&failing().oneshot(request()).await), Some(418));
    assert_eq!(failing().oneshot(request()).await.err(), Some(TRANSIENT));
    assert!(layer.layer(Callee::new(|_, _| async { success() })).oneshot(request()).await.is_ok());
    assert_eq!(calls.load(Ordering::Relaxed), 2, "it is asked only when the first fails");

    let mut late = request();
    late.set_deadline(Deadline::within(Duration::ZERO));
    assert_eq!(failing().oneshot(late).await.err(), Some(TRANSIENT));
    assert_eq!(calls.load(Ordering::Relaxed), 2, "nobody waits for it any more");
}
