//! A shop posts signed events to a service, which receives and handles them.
//!
//! `cargo run -p steadfast-backends --example http --features http`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use serde_json::json;
use steadfast_backends::Secret;
use steadfast_backends::http::{Config, HttpSink, HttpSource, Mode, Signature, SinkConfig};
use steadfast_base::Deadline;
use steadfast_core::Event;
use steadfast_core::store::Durability;
use steadfast_core::transport::{Outcome, Settlement, Sink, Source, Subscribe, memory};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let signature = Some(Signature::standard([Secret::new("whsec_c2hhcmVkIGJ5IGJvdGggc2lkZXM=")]));
    let deadline = Deadline::within(Duration::from_secs(10));

    // The service: whatever is posted to /events goes to the group `shipping`.
    let config = Config { signature: signature.clone(), ..Config::default() };
    let source = HttpSource::new("orders", config, memory::Config::default())?;
    let receiver = source.open(&Subscribe::new("shipping")).await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/events", listener.local_addr()?);
    let app = axum::Router::new().nest("/events", source.router());
    let server = tokio::spawn(async move { axum::serve(listener, app).await });

    // The shop. Without the secret it would be told 401.
    let shop = HttpSink::new(&SinkConfig { url, mode: Mode::Batched, signature, ..SinkConfig::default() })?;
    let order = |id: &str, total: u32| {
        Event::new("/shop", "order.created").subject(id).json(&json!({ "total": total }))
    };
    let events = [order("order-1", 5)?, order("order-2", 7)?];
    let achieved = shop.send(&events, Durability::Accepted, deadline).await?;
    println!("posted {} events, {achieved}", events.len());

    let mut handled = 0;
    while handled < events.len() {
        for received in receiver.receive(16).await? {
            let data = String::from_utf8_lossy(received.event.data());
            println!("{} {}: {data}", received.event.kind(), received.event.subject().unwrap_or_default());
            receiver.settle(&[Settlement { token: received.token, outcome: Outcome::Handled }]).await?;
            handled += 1;
        }
    }

    // First no more is taken, then what was taken is handled, then the receiver goes.
    source.intake().close(deadline).await?;
    receiver.close(deadline).await?;
    shop.close(deadline).await?;
    server.abort();
    Ok(())
}
