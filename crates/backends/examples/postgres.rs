//! Changes of a PostgreSQL table as events, by logical replication, and an event from an outbox table.
//!
//! It starts a server of its own: `cargo run -p steadfast-backends --example postgres --features postgres`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use steadfast_backends::Secret;
use steadfast_backends::change::Change;
use steadfast_backends::postgres::Config;
use steadfast_backends::postgres::changes::{self, Changes};
use steadfast_backends::postgres::outbox::{self, Outbox};
use steadfast_base::Deadline;
use steadfast_core::Event;
use steadfast_core::transport::{Outcome, Receiver, Settlement, Source, Subscribe};
use steadfast_servers::Postgres;

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let server = tokio::task::spawn_blocking(Postgres::start).await??;
    let config = Config {
        host: server.address().ip().to_string(),
        port: server.address().port(),
        password: Some(Secret::new(Postgres::PASSWORD)),
        ..Config::default()
    };
    let parameters = format!(
        "host={} port={} user={} password={}",
        config.host,
        config.port,
        Postgres::USER,
        Postgres::PASSWORD
    );
    let (mut shop, connection) = tokio_postgres::connect(&parameters, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    shop.batch_execute("CREATE TABLE orders (id int PRIMARY KEY, state text)").await?;

    // A slot keeps each change of the table from here on, until it is handled.
    let settings =
        changes::Settings { tables: vec!["orders".into()], full_before: true, ..Default::default() };
    let receiver = Changes::new(config.clone(), settings)?.open(&Subscribe::new("shipping")).await?;
    // The other way: the application says what happened, in the transaction in which it happens.
    let outbox = Outbox::new(config, outbox::Settings::default())?;
    let announced = outbox.open(&Subscribe::new("shipping")).await?;

    let transaction = shop.transaction().await?;
    transaction.batch_execute("INSERT INTO orders VALUES (7, 'new')").await?;
    transaction.batch_execute("UPDATE orders SET state = 'paid' WHERE id = 7").await?;
    outbox.append(&transaction, &[Event::new("/shop", "order.paid").subject("order-7").build()]).await?;
    transaction.commit().await?;

    for event in handle(&*receiver, 2).await? {
        let change = Change::of(&event)?;
        println!(
            "{} {}: {:?}",
            event.kind(),
            event.subject().unwrap_or(""),
            change.after.map(|row| row["state"].clone())
        );
    }
    for event in handle(&*announced, 1).await? {
        println!("{} {}", event.kind(), event.subject().unwrap_or(""));
    }
    for receiver in [receiver, announced] {
        receiver.close(Deadline::within(Duration::from_secs(5))).await?;
    }
    Ok(())
}

/// Receives `count` events and says that they are handled.
async fn handle(receiver: &dyn Receiver, count: usize) -> Result<Vec<Event>, Box<dyn Error>> {
    let mut events = Vec::new();
    while events.len() < count {
        for received in receiver.receive(count - events.len()).await? {
            receiver.settle(&[Settlement { token: received.token, outcome: Outcome::Handled }]).await?;
            events.push(received.event);
        }
    }
    Ok(events)
}
