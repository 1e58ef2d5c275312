//! Orders on a stream of NATS JetStream, shipped by two receivers of one group: events of one order stay in order and with
//! one receiver at a time, and an event whose handling failed comes again.
//!
//! `cargo run -p steadfast-backends --example nats --features nats`, with `NATS_ADDRESS=HOST:PORT` for a server that
//! runs already; without it one is started.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use steadfast_backends::nats::{Config, NatsSink, NatsSource};
use steadfast_base::Deadline;
use steadfast_core::Event;
use steadfast_core::delivery::{Handling, Order};
use steadfast_core::store::Durability;
use steadfast_core::transport::{self, Consumer, Sink, Source, Subscribe};
use steadfast_servers::Nats;
use tokio_util::sync::CancellationToken;

type Failed = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let address = std::env::var("NATS_ADDRESS").ok();
    let server = match &address {
        None => Some(tokio::task::spawn_blocking(Nats::start).await??),
        Some(_) => None,
    };
    let address = address.or_else(|| server.as_ref().map(|server| server.address().to_string()));
    run(Config { address: address.unwrap_or_default(), stream: "orders".to_owned(), ..Config::default() })
        .await
}

/// Sends three events of each of four orders, and handles them.
pub(crate) async fn run(config: Config) -> Result<(), Failed> {
    let sink = NatsSink::new(config.clone())?;
    let source: Arc<dyn Source> = Arc::new(NatsSource::new(config)?);
    let mut events = Vec::new();
    for kind in ["order.created", "order.paid", "order.confirmed"] {
        // The subject is the key.
        events.extend(
            (1..=4).map(|order| Event::new("/orders", kind).subject(format!("order-{order}")).build()),
        );
    }
    let achieved =
        sink.send(&events, Durability::Accepted, Deadline::within(Duration::from_secs(10))).await?;
    println!("sent {} events, {achieved}", events.len());

    let (left, stop) = (Arc::new(AtomicUsize::new(events.len())), CancellationToken::new());
    let stumble = Arc::new(AtomicBool::new(true));
    let mut members = Vec::new();
    for name in ["anna", "ben"] {
        let handling = Handling { order: Order::PerKey, ..Handling::default() };
        let consumer = Consumer::new(Arc::clone(&source), Subscribe::new("shipping"), handling);
        let (left, stop, stumble) = (Arc::clone(&left), stop.clone(), Arc::clone(&stumble));
        members.push(tokio::spawn(async move {
            let done = stop.clone();
            let handle = move |delivery: steadfast_core::delivery::Delivery<Event>| {
                let (left, done, stumble) = (Arc::clone(&left), done.clone(), Arc::clone(&stumble));
                async move {
                    let (event, attempt) = (delivery.payload(), delivery.attempt());
                    println!(
                        "{name}: {} of {}, attempt {attempt}",
                        event.kind(),
                        event.subject().unwrap_or("none")
                    );
                    if stumble.swap(false, Ordering::SeqCst) {
                        return Err(transport::Error::Overloaded { system: "shipping", retry_after: None });
                    }
                    if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                        done.cancel();
                    }
                    Ok(())
                }
            };
            consumer.run_fn(handle, stop).await
        }));
    }
    for member in members {
        println!("{} handled", member.await??.handled);
    }
    sink.close(Deadline::within(Duration::from_secs(5))).await?;
    Ok(())
}
