//! What is too much, too long or too slow costs whoever posts, not us.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use http::{HeaderMap, StatusCode};
use steadfast_backends::http::{Config, HttpSource};
use steadfast_base::units::{HumanDuration, Size};
use steadfast_core::transport::{Outcome, Settlement, Source, Subscribe, memory};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Kept, LEAST, Served, post, serve, until};

const HEAD: &str =
    "POST / HTTP/1.1\r\nhost: h\r\nce-specversion: 1.0\r\nce-id: 1\r\nce-source: /s\r\nce-type: t\r\n";

/// Reads until the other side closes, and returns the status line.
async fn answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_string(&mut text)).await;
    assert!(read.is_ok(), "the connection stays open after `{text}`");
    text.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_body_that_does_not_come_ends_at_the_deadline() {
    let deadline = HumanDuration(Duration::from_millis(100));
    let (served, intake) = serve(Arc::new(Kept::default()), Config { deadline, ..Config::default() }).await;
    let mut stream = TcpStream::connect(&served.authority).await.expect("connected");
    stream.write_all(format!("{HEAD}content-length: 10\r\n\r\n12345").as_bytes()).await.expect("sent");
    assert_eq!(answer(&mut stream).await, "HTTP/1.1 408 Request Timeout");
    assert_eq!(intake.metrics().in_flight, 0);
}

#[tokio::test]
async fn a_body_that_is_too_long_is_not_read() {
    let config = Config { body_max: Size::from_bytes(1000), ..Config::default() };
    let (served, intake) = serve(Arc::new(Kept::default()), config).await;
    // Announced: answered before a byte of it came.
    let mut stream = TcpStream::connect(&served.authority).await.expect("connected");
    stream.write_all(format!("{HEAD}content-length: 1000000000000\r\n\r\n").as_bytes()).await.expect("sent");
    assert_eq!(answer(&mut stream).await, "HTTP/1.1 413 Payload Too Large");
    // Not announced: answered as soon as it is too long, though it never ends.
    let mut stream = TcpStream::connect(&served.authority).await.expect("connected");
    stream.write_all(format!("{HEAD}transfer-encoding: chunked\r\n\r\n").as_bytes()).await.expect("sent");
    for _ in 0..3 {
        stream.write_all(format!("190\r\n{}\r\n", "x".repeat(0x190)).as_bytes()).await.expect("sent");
    }
    assert_eq!(answer(&mut stream).await, "HTTP/1.1 413 Payload Too Large");
    // Pieces that fit together are put together.
    let mut stream = TcpStream::connect(&served.authority).await.expect("connected");
    let pieces = "connection: close\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n";
    stream.write_all(format!("{HEAD}{pieces}").as_bytes()).await.expect("sent");
    until("the first piece is there", || intake.metrics().in_flight == 1).await;
    stream.write_all(b"2\r\nde\r\n0\r\n\r\n").await.expect("sent");
    assert_eq!(answer(&mut stream).await, "HTTP/1.1 202 Accepted");
    assert_eq!((intake.metrics().refused, intake.metrics().events), (2, 1));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_taken() {
    let kept = Arc::new(Kept::default());
    let (served, intake) = serve(kept.clone(), Config::default()).await;
    let mut stream = TcpStream::connect(&served.authority).await.expect("connected");
    stream.write_all(format!("{HEAD}content-length: 10\r\n\r\n12345").as_bytes()).await.expect("sent");
    until("the server has begun to read it", || intake.metrics().in_flight == 1).await;
    drop(stream);
    until("the server has noticed", || intake.metrics().in_flight == 0).await;
    assert!(kept.events.lock().is_empty());
    assert_eq!((intake.metrics().taken, intake.metrics().events), (0, 0));
}

#[tokio::test]
async fn one_request_too_many_is_pushed_back_at_once() {
    let kept = Arc::new(Kept { delay: Duration::from_millis(300), ..Kept::default() });
    let (served, intake) = serve(kept.clone(), Config { in_flight_max: 3, ..Config::default() }).await;
    let answers = join_all((0..10).map(|_| post(&served, &LEAST, ""))).await;
    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(202), count(429)), (3, 7));
    let pushed = answers.iter().find(|answer| answer.status == 429).expect("pushed back");
    assert_eq!(pushed.headers["retry-after"], "1");
    assert_eq!(kept.events.lock().len(), 3);
    assert_eq!(intake.metrics().pushed_back, 7);
    assert_eq!(post(&served, &LEAST, "").await.status, 202, "there is room again");
}

#[tokio::test]
async fn a_full_queue_pushes_back_until_events_are_handled() {
    let queue = memory::Config { capacity: 5, ..memory::Config::default() };
    let source = HttpSource::new("posted", Config::default(), queue).expect("valid");
    let served = Served::start(source.router()).await;
    let post_one = async |id: usize| -> (StatusCode, HeaderMap) {
        let mut headers = LEAST;
        let id = id.to_string();
        headers[1].1 = &id;
        let answer = post(&served, &headers, "").await;
        (answer.status, answer.headers)
    };
    assert_eq!(post_one(0).await.0, 503, "nobody would receive it");
    let receiver = source.open(&Subscribe::new("group")).await.expect("opened");
    for id in 0..5 {
        assert_eq!(post_one(id).await.0, 202);
    }
    let (status, headers) = post_one(5).await;
    assert_eq!((status.as_u16(), headers["retry-after"].as_bytes()), (429, &b"1"[..]));
    let received = tokio::time::timeout(Duration::from_secs(10), receiver.receive(2)).await;
    let received = received.expect("in time").expect("received");
    let handled: Vec<_> = received
        .iter()
        .map(|received| Settlement { token: received.token, outcome: Outcome::Handled })
        .collect();
    receiver.settle(&handled).await.expect("settled");
    assert_eq!(post_one(5).await.0, 202);
}
