//! What goes wrong beside a server that dies.

use std::sync::Arc;
use std::time::Duration;

use steadfast_backends::nats::{Config, NatsSink, NatsSource};
use steadfast_base::Deadline;
use steadfast_core::Event;
use steadfast_core::store::Durability;
use steadfast_core::transport::{Error, Link, Outcome, Settlement, Sink, Source, Subscribe};

use super::support::{config, started_durable};

fn soon() -> Deadline {
    Deadline::within(Duration::from_secs(10))
}

fn event() -> Event {
    Event::new("/test", "test.sent").subject("key").build()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_told_is_not_said_to_be_told() {
    let mut nats = started_durable().await;
    let config = Config { shards: 1, ..config(&nats) };
    let sink = NatsSink::new(config.clone()).expect("the configuration is right");
    sink.send(&[event()], Durability::Durable, soon()).await.expect("it is sent");
    let source = NatsSource::new(config).expect("the configuration is right");
    let receiver = source.open(&Subscribe::new("g")).await.expect("it opens");
    let received = tokio::time::timeout(Duration::from_secs(20), receiver.receive(1)).await;
    let received = received.expect("in time").expect("it receives");
    let handled = [Settlement { token: received[0].token, outcome: Outcome::Handled }];
    tokio::task::block_in_place(|| nats.kill());
    for attempt in ["first", "second"] {
        let told = receiver.settle(&handled).await;
        assert!(matches!(told, Err(Error::Unavailable { .. })), "{attempt}: {told:?}");
    }
    tokio::task::block_in_place(|| nats.restart()).expect("it starts again");
    let telling = async {
        while receiver.settle(&handled).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), telling).await.expect("in time");
    receiver.close(soon()).await.expect("it closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_takes_no_longer_than_its_deadline_while_nobody_is_there() {
    // Port 1 of the loopback: nobody listens there.
    let config = Config { address: "127.0.0.1:1".to_owned(), ..Config::default() };
    let sink = Arc::new(NatsSink::new(config).expect("the configuration is right"));
    let sending = tokio::spawn({
        let sink = Arc::clone(&sink);
        async move { sink.send(&[event()], Durability::Written, soon()).await }
    });
    let is_down = |link: &Link| matches!(link, Link::Down { attempts: 3.., .. });
    let mut link = sink.link();
    let tries = tokio::time::timeout(Duration::from_secs(10), link.wait_for(is_down)).await;
    tries.expect("it tries again and again").expect("it says how it stands");
    let closing = sink.close(Deadline::within(Duration::from_millis(50)));
    let closed = tokio::time::timeout(Duration::from_millis(500), closing).await.expect("by its deadline");
    assert!(matches!(closed, Err(Error::DeadlineExceeded { .. })), "{closed:?}");
    let sent = tokio::time::timeout(Duration::from_secs(5), sending).await.expect("it ends soon");
    assert!(matches!(sent.expect("no panic"), Err(Error::Closed)));
}
