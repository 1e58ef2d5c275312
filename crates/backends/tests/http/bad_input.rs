//! Every status that an intake answers, and why.

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_body_util::Full;
use steadfast_backends::http::Config;
use steadfast_base::units::{HumanDuration, Size};
use steadfast_core::transport::Error;

use crate::support::{Answer, Kept, LEAST, LEAST_JSON, client, post, read, serve};

const STRUCTURED: (&str, &str) = ("content-type", "application/cloudevents+json");
const BATCHED: (&str, &str) = ("content-type", "application/cloudevents-batch+json");

/// Headers, body, and the status and detail that they are refused with.
type Case<'a> = (Vec<(&'a str, &'a str)>, &'a str, u16, &'a str);

fn is_problem(answer: &Answer, status: u16, detail: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(answer.body["status"], status);
    let found = answer.body["detail"].as_str().expect("a detail");
    assert!(found.contains(detail), "`{found}` does not say `{detail}`");
}

#[tokio::test]
async fn what_cannot_be_an_event_is_refused_by_name() {
    let kept = Arc::new(Kept::default());
    let config = Config { body_max: Size::from_bytes(1000), batch_max: 2, ..Config::default() };
    let (served, intake) = serve(kept.clone(), config).await;
    let with = |name: &'static str, value: &'static str| {
        let others = LEAST.into_iter().filter(move |(other, _)| *other != name);
        others.chain([(name, value)]).collect::<Vec<_>>()
    };
    let without = |name: &str| LEAST.into_iter().filter(|(other, _)| *other != name).collect::<Vec<_>>();
    let long = "x".repeat(1001);
    let three = format!("[{LEAST_JSON},{LEAST_JSON},{LEAST_JSON}]");
    let second = format!("[{LEAST_JSON},{{}}]");
    let table: Vec<Case<'_>> = vec![
        (without("ce-id"), "", 400, "`id` is missing"),
        (without("ce-source"), "", 400, "`source` is missing"),
        (without("ce-type"), "", 400, "`type` is missing"),
        (without("ce-specversion"), "", 400, "`specversion` is missing"),
        (with("ce-specversion", "0.3"), "", 400, "`specversion` is not `1.0`"),
        (with("ce-time", "yesterday"), "", 400, "`time`"),
        (with("ce-my-name", "x"), "", 400, "`my-name`"),
        (with("ce-subject", "%ff"), "", 400, "`subject` is not UTF-8"),
        (with("ce-subject", "a%00"), "", 400, "`subject` has a control character"),
        (with("ce-data", "x"), "", 400, "`data`"),
        (LEAST.into_iter().chain([("ce-id", "B")]).collect(), "", 400, "`id` occurs twice"),
        (vec![STRUCTURED], "{", 400, "JSON"),
        (vec![STRUCTURED], "[]", 400, "JSON"),
        (vec![STRUCTURED], r#"{"specversion":"1.0"}"#, 400, "`id` is missing"),
        (vec![BATCHED], "{}", 400, "array"),
        (vec![BATCHED], &second, 400, "event 1 of the batch"),
        (vec![BATCHED], &three, 413, "more than 2 events"),
        (LEAST.to_vec(), &long, 413, "more than 1000 bytes"),
        (vec![], "{}", 415, "not a CloudEvent"),
        (vec![("content-type", "application/json")], "{}", 415, "not a CloudEvent"),
        (vec![("content-type", "application/cloudevents+avro")], "", 415, "only JSON"),
        (vec![("content-type", "application/cloudevents")], "{}", 415, "only JSON"),
        (vec![("content-type", "application/cloudevents+json; charset=latin1")], "{}", 415, "UTF-8"),
        (with("content-encoding", "gzip"), "", 415, "encoded"),
    ];
    let count = table.len() as u64;
    for (headers, body, status, detail) in table {
        is_problem(&post(&served, &headers, body.to_owned()).await, status, detail);
    }
    assert!(kept.events.lock().is_empty());
    let metrics = intake.metrics();
    assert_eq!((metrics.taken, metrics.refused, metrics.failed, metrics.in_flight), (0, count, 0, 0));
}

#[tokio::test]
async fn only_post_is_taken() {
    let (served, _) = serve(Arc::new(Kept::default()), Config::default()).await;
    for method in ["GET", "PUT", "DELETE"] {
        let request =
            Request::builder().method(method).uri(served.url()).body(Full::default()).expect("valid");
        let answer = read(client().request(request).await.expect("an answer")).await;
        is_problem(&answer, 405, "post");
        assert_eq!(answer.headers["allow"], "POST");
    }
}

#[tokio::test]
async fn what_the_sink_says_becomes_a_status() {
    let kept = Arc::new(Kept::default());
    let retry_after = HumanDuration(Duration::from_millis(2500));
    let (served, intake) = serve(kept.clone(), Config { retry_after, ..Config::default() }).await;
    let system = "kept";
    let secret = || "the password is hunter2".to_owned();
    for (error, status, wait) in [
        (Error::Overloaded { system, retry_after: None }, 429, Some("3")),
        (Error::Overloaded { system, retry_after: Some(Duration::from_secs(9)) }, 429, Some("9")),
        (Error::Unavailable { system, reason: secret() }, 503, Some("3")),
        (Error::Closed, 503, Some("3")),
        (Error::DeadlineExceeded { system }, 504, Some("3")),
        (Error::Rejected { system, reason: "too large".to_owned() }, 422, None),
        (Error::Denied { system, reason: secret() }, 500, None),
        (Error::Configuration { system, field: "url", problem: secret() }, 500, None),
        (Error::Unsupported { system, what: secret() }, 500, None),
    ] {
        kept.errors.lock().push(error);
        let answer = post(&served, &LEAST, "").await;
        is_problem(&answer, status, "");
        assert_eq!(answer.headers.get("retry-after").map(|wait| wait.to_str().expect("text")), wait);
        assert!(!answer.body.to_string().contains("hunter2"), "whoever posts learns nothing of us");
    }
    assert_eq!(post(&served, &LEAST, "").await.status, 202);
    let metrics = intake.metrics();
    assert_eq!((metrics.pushed_back, metrics.refused, metrics.failed, metrics.taken), (2, 1, 6, 1));
}
