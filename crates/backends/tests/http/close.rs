//! Closing while others post.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use steadfast_backends::http::{Config, HttpSink, HttpSource, SinkConfig};
use steadfast_base::Deadline;
use steadfast_core::Event;
use steadfast_core::store::Durability;
use steadfast_core::transport::{Error, Outcome, Settlement, Sink as _, Source as _, Subscribe, memory};

use crate::support::{Kept, LEAST, Served, post, serve, until};

#[tokio::test]
async fn closing_under_load_loses_nothing_that_was_acknowledged() {
    let source = HttpSource::new("posted", Config::default(), memory::Config::default()).expect("valid");
    let receiver = source.open(&Subscribe::new("group")).await.expect("opened");
    let served = Served::start(source.router()).await;
    let senders = (0..8).map(|sender| {
        let url = served.url();
        tokio::spawn(async move {
            let sink = HttpSink::new(&SinkConfig { url, ..SinkConfig::default() }).expect("valid");
            let mut acknowledged = Vec::new();
            loop {
                let event = [Event::new("/s", "t").subject(format!("{sender}")).build()];
                match sink.send(&event, Durability::Accepted, Deadline::within(Duration::from_secs(5))).await
                {
                    Ok(_) => acknowledged.push(event[0].id()),
                    Err(Error::Unavailable { reason, .. }) => {
                        assert!(reason.contains("503") && reason.contains("closing"), "{reason}");
                        return acknowledged;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        })
    });
    let senders: Vec<_> = senders.collect();
    until("there is load", || source.intake().metrics().events >= 200).await;
    source.intake().close(Deadline::within(Duration::from_secs(5))).await.expect("closed");
    let settled = source.intake().metrics();
    let acknowledged: HashSet<_> =
        join_all(senders).await.into_iter().flat_map(|sender| sender.expect("ended")).collect();
    assert_eq!(source.intake().metrics().events, settled.events, "nothing was taken after closing");
    assert_eq!(acknowledged.len() as u64, settled.events);

    let mut received = HashSet::new();
    while received.len() < acknowledged.len() {
        let wait = tokio::time::timeout(Duration::from_secs(5), receiver.receive(100));
        let events = wait.await.expect("what was acknowledged is there").expect("received");
        let handled: Vec<_> =
            events.iter().map(|one| Settlement { token: one.token, outcome: Outcome::Handled }).collect();
        receiver.settle(&handled).await.expect("settled");
        received.extend(events.iter().map(|one| one.event.id()));
    }
    assert_eq!(received, acknowledged);
}

#[tokio::test]
async fn closing_waits_for_what_is_in_flight_until_its_deadline() {
    let kept = Arc::new(Kept { delay: Duration::from_millis(300), ..Kept::default() });
    let (served, intake) = serve(kept, Config::default()).await;
    let posting = async {
        let answer = post(&served, &LEAST, "").await;
        assert_eq!(answer.status, 202);
    };
    let closing = async {
        until("the request is there", || intake.metrics().in_flight > 0).await;
        let soon = intake.close(Deadline::within(Duration::from_millis(20))).await;
        assert!(matches!(soon, Err(Error::DeadlineExceeded { .. })), "{soon:?}");
        assert_eq!(post(&served, &LEAST, "").await.status, 503);
        intake.close(Deadline::within(Duration::from_secs(5))).await.expect("closed");
        intake.close(Deadline::within(Duration::from_secs(5))).await.expect("closed twice");
    };
    tokio::join!(posting, closing);
}
