//! Signed requests, and requests that are not CloudEvents.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use steadfast_backends::Secret;
use steadfast_backends::http::{Config, HttpSink, Intake, Mode, Plain, Signature, SinkConfig};
use steadfast_base::{Clock as _, Deadline, ManualClock};
use steadfast_core::Event;
use steadfast_core::cloudevents::foreign_id;
use steadfast_core::store::Durability;
use steadfast_core::transport::{Error, Sink as _};

use crate::support::{Answer, Kept, LEAST, LEAST_JSON, Served, post, serve};

const SECRET: &str = "a secret of those two";

/// Signs by hand, so that what we accept is not only what we write.
fn signature(id: &str, seconds: u64, body: &str) -> String {
    use base64::Engine as _;
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length");
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    format!("v1,{}", base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes()))
}

async fn send(served: &Served, id: &str, seconds: u64, signature: &str) -> Answer {
    let seconds = seconds.to_string();
    let headers = [
        ("content-type", "application/cloudevents+json"),
        ("webhook-id", id),
        ("webhook-timestamp", &seconds),
        ("webhook-signature", signature),
    ];
    post(served, &headers, LEAST_JSON).await
}

#[tokio::test]
async fn what_is_wrong_or_old_is_refused_and_what_comes_again_is_not_handed_on_again() {
    const NOW: u64 = 1_700_000_000;
    let kept = Arc::new(Kept::default());
    let clock = Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)));
    let signature_by = Signature::standard([Secret::new("another secret"), Secret::new(SECRET)]);
    let config = Config { signature: Some(signature_by), ..Config::default() };
    let intake = Intake::with_clock(kept.clone(), config, clock.clone()).expect("valid");
    assert!(!format!("{intake:?}").contains(SECRET));
    let served = Served::start(intake.router()).await;

    let unsigned = post(&served, &LEAST, "").await;
    assert_eq!(unsigned.status, 401);
    for (id, seconds, signed) in [
        ("m1", NOW, signature("m2", NOW, LEAST_JSON)),
        ("m1", NOW, signature("m1", NOW - 1, LEAST_JSON)),
        ("m1", NOW, signature("m1", NOW, "{}")),
        ("m1", NOW, "v1,".to_owned()),
        ("m1", NOW - 301, signature("m1", NOW - 301, LEAST_JSON)),
        ("m1", NOW + 301, signature("m1", NOW + 301, LEAST_JSON)),
    ] {
        let answer = send(&served, id, seconds, &signed).await;
        assert_eq!(answer.status, 401, "{answer:?}");
    }
    assert!(kept.events.lock().is_empty());

    // A failure leaves room for another try, success does not.
    let signed = signature("m1", NOW, LEAST_JSON);
    kept.errors.lock().push(Error::Closed);
    for (status, events) in [(503, 0), (202, 1), (202, 1), (202, 1)] {
        assert_eq!(send(&served, "m1", NOW, &signed).await.status, status);
        assert_eq!(kept.events.lock().len(), events);
    }
    assert_eq!(intake.metrics().repeated, 2);
    // Signed anew it is another request; its event's identity tells that it is the same.
    assert_eq!(send(&served, "m1", NOW + 1, &signature("m1", NOW + 1, LEAST_JSON)).await.status, 202);
    clock.set(clock.now() + Duration::from_secs(301));
    assert_eq!(send(&served, "m1", NOW, &signed).await.status, 401, "too old to be replayed");
    let events = kept.events.lock();
    assert_eq!((events.len(), events[0].id()), (2, events[1].id()));
}

#[tokio::test]
async fn our_sink_signs_what_our_intake_takes() {
    for mode in [Mode::Binary, Mode::Structured, Mode::Batched] {
        for scheme in [Signature::standard, Signature::github] {
            let kept = Arc::new(Kept::default());
            let config = Config { signature: Some(scheme(vec![Secret::new(SECRET)])), ..Config::default() };
            let (served, _) = serve(kept.clone(), config).await;
            let sink = |secret: &str| {
                let signature = Some(scheme(vec![Secret::new(secret)]));
                let config = SinkConfig { url: served.url(), mode, signature, ..SinkConfig::default() };
                assert!(!format!("{config:?}").contains(secret));
                HttpSink::new(&config).expect("valid")
            };
            let event = [Event::new("/s", "t").data("text/plain", "x")];
            let deadline = Deadline::within(Duration::from_secs(5));
            let sent = sink(SECRET).send(&event, Durability::Accepted, deadline).await;
            assert_eq!(sent.expect("sent"), Durability::Accepted);
            assert_eq!(*kept.events.lock(), event);
            let denied = sink("wrong").send(&event, Durability::Accepted, deadline).await;
            assert!(matches!(denied, Err(Error::Denied { .. })), "{denied:?}");
        }
    }
}

#[tokio::test]
async fn a_webhook_that_is_no_cloudevent_becomes_one() {
    let plain: Plain = serde_json::from_str(
        r#"{"source": "/github", "type": "github", "typeHeader": "x-github-event", "idHeader": "x-github-delivery"}"#,
    )
    .expect("valid");
    let kept = Arc::new(Kept::default());
    let signature = Some(Signature::github([Secret::new("It's a Secret to Everybody")]));
    let (served, _) =
        serve(kept.clone(), Config { plain: Some(plain), signature, ..Config::default() }).await;
    // The vector of GitHub's documentation.
    let signed = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let headers =
        [("x-hub-signature-256", signed), ("x-github-event", "push"), ("x-github-delivery", "72d3162e")];
    let answer = post(&served, &headers, "Hello, World!").await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let answer = post(&served, &headers[..2], "Hello, World!").await;
    assert_eq!(answer.status, 400);
    assert!(answer.body["detail"].as_str().expect("text").contains("`x-github-delivery`"), "{answer:?}");
    let events = kept.events.lock();
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((event.kind(), event.id()), ("github.push", foreign_id("/github", "72d3162e")));
    assert_eq!(&event.data()[..], b"Hello, World!");
}
