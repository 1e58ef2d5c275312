//! How reservations stand in the log, and what it says of them.

use std::mem::size_of;
use std::sync::Arc;

use steadfast::core::projection;
use steadfast::core::repository::{Repository, Settings};
use steadfast::core::snapshot::NotDecoded;
use steadfast::core::store::{Durability, EventStore, StoredEvent};

use super::domain::{Event, Reservation, SetAside};
use super::levels::Levels;
use crate::ledger::{LogView, OrderEvents, decode};
use crate::orders::domain::{OrderId, Sku};

/// How names of streams begin; the key of the reservation follows.
const PREFIX: &str = "reservation-";

/// The reservations by their keys: that of a call names its reservation, so a repetition finds what it has led to, for
/// as long as the log lives. A reservation has two events at most, for which no snapshot is worth its while.
pub type Reservations = Repository<Reservation, OrderEvents<Event>>;

/// Makes the repository of the reservations in `store`.
pub fn reservations(store: Arc<dyn EventStore>, durability: Durability) -> Reservations {
    let settings = Settings { durability, weigh, ..Settings::default() };
    Repository::new(store, PREFIX, OrderEvents { source: "/inventory", kind, order }, settings)
}

/// Makes the levels of a place with `stock` pieces of every article, as the log in `store` has them.
///
/// # Errors
/// The store cannot be read, or holds a reservation that is none.
pub async fn levels(store: Arc<dyn EventStore>, stock: u64) -> Result<LogView<Levels>, projection::Error> {
    LogView::load("levels", store, Levels::new(stock), apply).await
}

fn apply(levels: &mut Levels, stored: &StoredEvent) -> Result<(), NotDecoded> {
    let Some(key) = stored.stream.strip_prefix(PREFIX) else { return Ok(()) };
    match decode(&stored.event)? {
        Event::Reserved(aside) => levels.reserved(key.into(), aside),
        Event::Released { .. } => levels.released(key),
    }
    Ok(())
}

fn weigh(reservation: &Reservation) -> usize {
    // Of a SKU, which is a short text, and its place among the lines.
    const LINE: usize = size_of::<(Sku, u64)>() + 48;
    let lines = match reservation {
        Reservation::Reserved(aside) | Reservation::Released { reserved: Some(aside) } => aside.lines.len(),
        Reservation::Absent | Reservation::Released { reserved: None } => 0,
    };
    size_of::<Reservation>() + size_of::<SetAside>() + lines * LINE
}

fn kind(event: &Event) -> &'static str {
    match event {
        Event::Reserved(_) => "inventory.reserved",
        Event::Released { .. } => "inventory.released",
    }
}

fn order(event: &Event) -> OrderId {
    match event {
        Event::Reserved(aside) => aside.order,
        Event::Released { order } => *order,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use steadfast::core::repository::Cause;

    use super::super::domain::Command;
    use super::*;
    use crate::ledger::testing::{ORDER, Old, said};

    const RESERVED: Old = Old {
        source: "/inventory",
        kind: "inventory.reserved",
        data: r#"{"type":"reserved","order":"0190a3b2-7c11-7000-8000-00000000000a","lines":{"s1":3}}"#,
    };
    const RELEASED: Old = Old {
        source: "/inventory",
        kind: "inventory.released",
        data: r#"{"type":"released","order":"0190a3b2-7c11-7000-8000-00000000000a"}"#,
    };

    #[tokio::test]
    async fn what_earlier_versions_wrote_is_read_and_written_alike() {
        let store = Old::store(&[
            ("reservation-a", RESERVED),
            ("reservation-b", RESERVED),
            ("reservation-b", RELEASED),
            ("reservation-c", RELEASED),
        ]);
        let store = store.await;
        let levels = levels(Arc::clone(&store), 10).await.expect("a log that can be read");
        let lines = BTreeMap::from([("s1".to_owned(), 3)]);
        assert_eq!(levels.look(Levels::by_order), BTreeMap::from([(ORDER.to_owned(), lines)]));

        let reservations = reservations(Arc::clone(&store), Durability::Accepted);
        let lines = BTreeMap::from([("s1".parse().expect("a SKU"), 3)]);
        let aside = Arc::new(SetAside { order: ORDER.parse().expect("an order"), lines });
        let (reserve, release) = (Command::Reserve(Arc::clone(&aside)), Command::Release(aside.order));
        let cause = Cause::unknown();
        assert_eq!(reservations.execute("a", &reserve, &cause).await.expect("it stands").events, []);
        for key in ["b", "c"] {
            reservations.execute(key, &reserve, &cause).await.expect_err("it was released");
        }
        reservations.execute("d", &reserve, &cause).await.expect("reserved");
        reservations.execute("d", &release, &cause).await.expect("released");
        assert_eq!(said(&*store, "reservation-d").await, said(&*store, "reservation-b").await);
    }
}
