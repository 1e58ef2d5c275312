//! Changes of an SQLite table as events: a shop updates orders, and whoever subscribes hears of each, in order.
//!
//! `cargo run -p steadfast-backends --example sqlite --features sqlite`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use rusqlite::Connection;
use steadfast_backends::change::Change;
use steadfast_backends::sqlite::changes::{Changes, Config};
use steadfast_base::Deadline;
use steadfast_core::transport::{Outcome, Settlement, Source, Subscribe};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("shop.db");
    let mut shop = Connection::open(&path)?;
    shop.execute_batch(
        "PRAGMA journal_mode = WAL; CREATE TABLE orders (id INTEGER PRIMARY KEY, state TEXT)",
    )?;

    let config = Config { path, tables: vec!["orders".into()], ..Config::default() };
    let changes = Changes::new(config)?;
    changes.wake_on(&mut shop)?;
    // From here on each change is kept until every group has handled it, whoever makes it.
    let receiver = changes.open(&Subscribe::new("shipping")).await?;

    shop.execute_batch("INSERT INTO orders VALUES (7, 'new')")?;
    shop.execute_batch("UPDATE orders SET state = 'paid' WHERE id = 7")?;
    shop.execute_batch("DELETE FROM orders WHERE id = 7")?;

    let mut seen = 0;
    while seen < 3 {
        for received in receiver.receive(16).await? {
            let change = Change::of(&received.event)?;
            let state =
                |row: Option<serde_json::Map<_, _>>| row.map_or("-".into(), |row| row["state"].to_string());
            let (before, after) = (state(change.before), state(change.after));
            println!(
                "{:20} {}: {before} -> {after}",
                received.event.kind(),
                received.event.subject().unwrap_or("")
            );
            receiver.settle(&[Settlement { token: received.token, outcome: Outcome::Handled }]).await?;
            seen += 1;
        }
    }
    receiver.close(Deadline::within(Duration::from_secs(5))).await?;
    Ok(())
}
