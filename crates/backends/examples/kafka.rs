//! Orders on a topic of Kafka, shipped by a group of two: each order is with one of them, in order, and an event whose
//! handling failed comes again.
//!
//! `cargo run -p steadfast-backends --example kafka --features kafka`, with `KAFKA_BROKER=HOST:PORT` for a broker that
//! runs already; without it one is started, from the jars in `STEADFAST_KAFKA_LIBS`.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use steadfast_backends::kafka::{Config, Create, KafkaSink, KafkaSource};
use steadfast_base::Deadline;
use steadfast_core::Event;
use steadfast_core::store::Durability;
use steadfast_core::transport::{Outcome, Received, Receiver, Settlement, Sink, Source, Subscribe};
use steadfast_servers::Kafka;
use tokio_util::sync::CancellationToken;

type Failed = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let broker = std::env::var("KAFKA_BROKER").ok();
    let node = match &broker {
        None => Some(tokio::task::spawn_blocking(Kafka::start).await??),
        Some(_) => None,
    };
    let broker = broker.or_else(|| node.as_ref().map(|node| node.address().to_string())).unwrap_or_default();
    let create = Some(Create { partitions: 8, replicas: 1 });
    run(Config { brokers: vec![broker], topic: "orders".to_owned(), create, ..Config::default() }).await
}

/// Sends three events of each of four orders, and receives them.
pub(crate) async fn run(config: Config) -> Result<(), Failed> {
    let sink = KafkaSink::new(config.clone())?;
    let source = KafkaSource::new(config)?;
    let mut events = Vec::new();
    for kind in ["order.created", "order.paid", "order.confirmed"] {
        // The subject is the key: events of one order stay in order, and with one member of the group.
        events.extend(
            (1..=4).map(|order| Event::new("/orders", kind).subject(format!("order-{order}")).build()),
        );
    }
    let deadline = Deadline::within(Duration::from_secs(10));
    let achieved = sink.send(&events, Durability::Written, deadline).await?;
    println!("sent {} events, {achieved}", events.len());

    let left = Arc::new(AtomicU32::new(u32::try_from(events.len())?));
    let done = CancellationToken::new();
    let mut members = Vec::new();
    for name in ["anna", "ben"] {
        let receiver = source.open(&Subscribe::new("shipping")).await?;
        members.push(tokio::spawn(ship(name, receiver, Arc::clone(&left), done.clone())));
    }
    for member in members {
        member.await??;
    }
    sink.close(deadline).await?;
    Ok(())
}

async fn ship(
    name: &'static str,
    receiver: Box<dyn Receiver>,
    left: Arc<AtomicU32>,
    done: CancellationToken,
) -> Result<(), Failed> {
    while let Some(received) = done.run_until_cancelled(receiver.receive(4)).await {
        let settlements: Vec<Settlement> = received?
            .iter()
            .map(|received| Settlement { token: received.token, outcome: handle(name, received) })
            .collect();
        let handled = settlements.iter().filter(|settlement| settlement.outcome == Outcome::Handled).count();
        // Told only now: had this process died before, the events would have come again.
        receiver.settle(&settlements).await?;
        let handled = u32::try_from(handled)?;
        if left.fetch_sub(handled, Ordering::SeqCst) == handled {
            done.cancel();
        }
    }
    receiver.close(Deadline::within(Duration::from_secs(5))).await?;
    Ok(())
}

fn handle(name: &str, received: &Received) -> Outcome {
    let (event, redeliveries) = (&received.event, received.redeliveries);
    let fails = event.kind() == "order.confirmed" && event.subject() == Some("order-3") && redeliveries == 0;
    let (kind, subject) = (event.kind(), event.subject().unwrap_or_default());
    println!("{name:5} {subject} {kind:16} {}", if fails { "failed, comes again" } else { "handled" });
    if fails { Outcome::Released } else { Outcome::Handled }
}
