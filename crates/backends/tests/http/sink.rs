//! What the sink does with answers, and with none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::routing::post;
use parking_lot::Mutex;
use steadfast_backends::Secret;
use steadfast_backends::http::{HttpSink, SinkConfig};
use steadfast_base::{Class, Classify as _, Deadline};
use steadfast_core::Event;
use steadfast_core::store::Durability;
use steadfast_core::transport::{Error, Link, Sink as _};

use crate::support::{Served, until};

fn sink(served: &Served) -> HttpSink {
    HttpSink::new(&SinkConfig { url: served.url(), ..SinkConfig::default() }).expect("valid")
}

fn event() -> Event {
    Event::new("/s", "t").subject("ä b").data("application/json", "{}")
}

fn soon() -> Deadline {
    Deadline::within(Duration::from_secs(5))
}

#[tokio::test]
async fn after_429_it_waits_as_long_as_it_was_told_or_says_so() {
    let answers = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&answers);
    let answer = move || {
        let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if first {
                (http::StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")])
            } else {
                (http::StatusCode::OK, [("x", "")])
            }
        }
    };
    let served = Served::start(Router::new().route("/", post(answer))).await;
    let sink = sink(&served);
    // Less time than was asked to wait: the caller learns how long.
    let brief = Deadline::within(Duration::from_millis(500));
    let error = sink.send(&[event()], Durability::Accepted, brief).await.expect_err("pushed back");
    assert!(
        matches!(error, Error::Overloaded { retry_after: Some(wait), .. } if wait.as_secs() == 1),
        "{error}"
    );
    assert_eq!((error.classify(), brief.is_expired()), (Class::Transient, false));

    answers.store(0, Ordering::SeqCst);
    let began = Instant::now();
    sink.send(&[event()], Durability::Accepted, soon()).await.expect("sent in the end");
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(answers.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn headers_are_as_the_binding_wants_them() {
    let seen = Arc::new(Mutex::new(None));
    let see = Arc::clone(&seen);
    let served = Served::start(Router::new().route(
        "/",
        post(move |request: Request| {
            *see.lock() = Some(request.headers().clone());
            async {}
        }),
    ))
    .await;
    let config = SinkConfig {
        url: served.url(),
        authorization: Some(Secret::new("Bearer hunter2")),
        ..SinkConfig::default()
    };
    assert!(!format!("{config:?}").contains("hunter2"));
    let event = event();
    HttpSink::new(&config)
        .expect("valid")
        .send(std::slice::from_ref(&event), Durability::Accepted, soon())
        .await
        .expect("sent");
    let headers = seen.lock().take().expect("arrived");
    assert_eq!(headers["authorization"], "Bearer hunter2");
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["ce-subject"], "%C3%A4%20b");
    assert_eq!(headers["ce-id"], event.id().to_string().as_str());
    assert!(!headers.contains_key("ce-datacontenttype"));
}

#[tokio::test]
async fn it_believes_what_the_other_side_says_of_durability() {
    let served =
        Served::start(Router::new().route("/", post(|| async { [("steadfast-durability", "written")] })))
            .await;
    let config = |durability| SinkConfig { url: served.url(), durability, ..SinkConfig::default() };
    let sink = HttpSink::new(&config(Durability::Durable)).expect("valid");
    assert_eq!(sink.send(&[event()], Durability::Accepted, soon()).await.expect("sent"), Durability::Written);
    let error = sink.send(&[event()], Durability::Durable, soon()).await.expect_err("less than asked for");
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    let error = HttpSink::new(&config(Durability::Accepted))
        .expect("valid")
        .send(&[event()], Durability::Written, soon())
        .await;
    assert!(matches!(error, Err(Error::Unsupported { .. })), "{error:?}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_costs_no_more_than_the_deadline() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let never = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<()>()
    };
    let served = Served::start(Router::new().route("/", post(never))).await;
    let sink = sink(&served);
    let began = Instant::now();
    let error =
        sink.send(&[event()], Durability::Accepted, Deadline::within(Duration::from_millis(100))).await;
    assert!(matches!(error, Err(Error::DeadlineExceeded { .. })), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(2));
    // Closing does not wait for it either.
    let events = [event()];
    let before = asked.load(Ordering::SeqCst);
    let sending = sink.send(&events, Durability::Accepted, soon());
    let closing = async {
        until("the server is asked", || asked.load(Ordering::SeqCst) > before).await;
        sink.close(Deadline::within(Duration::from_millis(50))).await
    };
    let (sent, closed) = tokio::join!(sending, closing);
    assert!(matches!(sent, Err(Error::Closed)), "{sent:?}");
    assert!(matches!(closed, Err(Error::DeadlineExceeded { .. })), "{closed:?}");
    assert_eq!(*sink.link().borrow(), Link::Closed);
    assert!(matches!(sink.send(&[event()], Durability::Accepted, soon()).await, Err(Error::Closed)));
}

#[tokio::test]
async fn a_wrong_configuration_is_named() {
    for (url, problem) in
        [("", "URL"), ("/events", "form"), ("ftp://h/", "form"), ("http://user:hunter2@h/", "authorization")]
    {
        let error = HttpSink::new(&SinkConfig { url: url.into(), ..SinkConfig::default() })
            .expect_err(url)
            .to_string();
        assert!(error.contains("url") && error.contains(problem) && !error.contains("hunter2"), "{error}");
    }
}

/// What a server has seen: the data of events in order, and how many requests there were at the same time at most.
#[derive(Default)]
struct Log {
    events: Mutex<Vec<(String, u32)>>,
    now: AtomicU32,
    most: AtomicU32,
}

#[tokio::test]
async fn several_requests_keep_the_order_of_each_key_and_end_when_one_is_refused() {
    let log = Arc::new(Log::default());
    let keep = Arc::clone(&log);
    let take = move |headers: http::HeaderMap, body: String| {
        let log = Arc::clone(&keep);
        async move {
            log.most.fetch_max(log.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(10)).await;
            log.now.fetch_sub(1, Ordering::SeqCst);
            let key = headers["ce-subject"].to_str().expect("ASCII").to_owned();
            if body == "wrong" {
                return http::StatusCode::UNPROCESSABLE_ENTITY;
            }
            log.events.lock().push((key, body.parse().expect("a number")));
            http::StatusCode::ACCEPTED
        }
    };
    let served = Served::start(Router::new().route("/", post(take))).await;
    let config = SinkConfig { url: served.url(), requests_max: 4, ..SinkConfig::default() };
    let sink = HttpSink::new(&config).expect("valid");
    let event =
        |key: u32, data: String| Event::new("/s", "t").subject(format!("key-{key}")).data("text/plain", data);
    let events: Vec<Event> = (0..5)
        .flat_map(|n| (0..16).map(move |key| (key, n)))
        .map(|(key, n)| event(key, n.to_string()))
        .collect();
    sink.send(&events, Durability::Accepted, soon()).await.expect("sent");
    let most = log.most.load(Ordering::SeqCst);
    assert!((2..=4).contains(&most), "{most} at the same time");
    for key in 0..16 {
        let events = log.events.lock();
        let numbers = events.iter().filter(|(of, _)| *of == format!("key-{key}")).map(|(_, number)| *number);
        assert_eq!(numbers.collect::<Vec<_>>(), [0, 1, 2, 3, 4], "key {key}");
    }

    log.events.lock().clear();
    let mut events: Vec<Event> = (0..160).map(|n| event(n % 16, (n / 16).to_string())).collect();
    events[0] = event(0, "wrong".to_owned());
    let error = sink.send(&events, Durability::Accepted, soon()).await.expect_err("one is wrong");
    assert!(matches!(error, Error::Rejected { .. }), "{error}");
    let taken = log.events.lock().clone();
    assert!(taken.len() < 8, "the other lanes end too: {taken:?}");
    sink.close(soon()).await.expect("closed");
    let none = HttpSink::new(&SinkConfig { requests_max: 0, ..config }).expect_err("none at all");
    assert!(none.to_string().contains("requestsMax"), "{none}");
}

#[tokio::test]
async fn a_batch_that_is_too_long_is_posted_in_parts() {
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let see = Arc::clone(&sizes);
    let take = move |body: bytes::Bytes| {
        let size = serde_json::from_slice::<Vec<serde_json::Value>>(&body).expect("a batch").len();
        see.lock().push(size);
        async move { if size > 3 { http::StatusCode::PAYLOAD_TOO_LARGE } else { http::StatusCode::ACCEPTED } }
    };
    let served = Served::start(Router::new().route("/", post(take))).await;
    let config = SinkConfig {
        url: served.url(),
        mode: steadfast_backends::http::Mode::Batched,
        ..SinkConfig::default()
    };
    let sink = HttpSink::new(&config).expect("valid");
    let events: Vec<Event> = (0..10).map(|_| event()).collect();
    sink.send(&events, Durability::Accepted, soon()).await.expect("sent");
    assert_eq!(*sizes.lock(), [10, 5, 2, 2, 2, 2, 2]);
}
