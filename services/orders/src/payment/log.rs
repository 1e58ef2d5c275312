//! How charges stand in the log, and what it says of them.

use std::collections::{BTreeMap, HashMap};
use std::mem::size_of;
use std::sync::Arc;

use steadfast::core::projection;
use steadfast::core::repository::{Repository, Settings};
use steadfast::core::snapshot::NotDecoded;
use steadfast::core::store::{Durability, EventStore, StoredEvent};

use super::domain::{Charge, Event, Taken};
use crate::ledger::{LogView, OrderEvents, decode};
use crate::orders::domain::OrderId;

/// How names of streams begin; the key of the charge follows.
const PREFIX: &str = "charge-";

/// The charges by their keys: that of a call names its charge, so a repetition finds what it has led to, for as long
/// as the log lives. A charge has two events at most, for which no snapshot is worth its while.
pub type Charges = Repository<Charge, OrderEvents<Event>>;

/// Makes the repository of the charges in `store`.
pub fn charges(store: Arc<dyn EventStore>, durability: Durability) -> Charges {
    let weigh = |_: &Charge| size_of::<Charge>() + size_of::<Taken>();
    let settings = Settings { durability, weigh, ..Settings::default() };
    Repository::new(store, PREFIX, OrderEvents { source: "/payment", kind, order }, settings)
}

fn kind(event: &Event) -> &'static str {
    match event {
        Event::Charged(_) => "payment.charged",
        Event::Voided { .. } => "payment.voided",
    }
}

fn order(event: &Event) -> OrderId {
    match event {
        Event::Charged(taken) => taken.order,
        Event::Voided { order } => *order,
    }
}

/// What has been charged and not given back, by key.
#[derive(Debug, Default)]
pub struct Charged(HashMap<Arc<str>, Arc<Taken>>);

impl Charged {
    /// Makes the view of what is charged in `store`.
    ///
    /// # Errors
    /// The store cannot be read, or holds a charge that is none.
    pub async fn load(store: Arc<dyn EventStore>) -> Result<LogView<Self>, projection::Error> {
        LogView::load("charged", store, Self::default(), Self::apply).await
    }

    fn apply(&mut self, stored: &StoredEvent) -> Result<(), NotDecoded> {
        let Some(key) = stored.stream.strip_prefix(PREFIX) else { return Ok(()) };
        match decode(&stored.event)? {
            Event::Charged(taken) => drop(self.0.insert(key.into(), taken)),
            Event::Voided { .. } => drop(self.0.remove(key)),
        }
        Ok(())
    }

    /// Returns what is charged, by order.
    pub fn by_order(&self) -> BTreeMap<String, String> {
        let mut charged = BTreeMap::new();
        for taken in self.0.values() {
            // An order is charged under one key at a time; were there two, it must show.
            charged
                .entry(taken.order.to_string())
                .and_modify(|sum: &mut String| *sum = format!("{sum} + {}", taken.amount))
                .or_insert_with(|| taken.amount.to_string());
        }
        charged
    }
}

#[cfg(test)]
mod tests {
    use steadfast::core::repository::Cause;

    use super::super::domain::Command;
    use super::*;
    use crate::ledger::testing::{ORDER, Old, said};

    const CHARGED: Old = Old {
        source: "/payment",
        kind: "payment.charged",
        data: r#"{"type":"charged","order":"0190a3b2-7c11-7000-8000-00000000000a","amount":{"amount_minor":450,"currency":"EUR"}}"#,
    };
    const VOIDED: Old = Old {
        source: "/payment",
        kind: "payment.voided",
        data: r#"{"type":"voided","order":"0190a3b2-7c11-7000-8000-00000000000a"}"#,
    };

    #[tokio::test]
    async fn what_earlier_versions_wrote_is_read_and_written_alike() {
        let streams =
            [("charge-a", CHARGED), ("charge-b", CHARGED), ("charge-b", VOIDED), ("charge-c", VOIDED)];
        let store = Old::store(&streams).await;
        let view = Charged::load(Arc::clone(&store)).await.expect("a log that can be read");
        let expected = BTreeMap::from([(ORDER.to_owned(), "4.50 EUR".to_owned())]);
        assert_eq!(view.look(Charged::by_order), expected);

        let charges = charges(Arc::clone(&store), Durability::Accepted);
        let amount = "4.50 EUR".parse().expect("an amount");
        let taken = Arc::new(Taken { order: ORDER.parse().expect("an order"), amount });
        let (charge, void) = (Command::Charge(Arc::clone(&taken)), Command::Void(taken.order));
        let cause = Cause::unknown();
        assert_eq!(charges.execute("a", &charge, &cause).await.expect("it stands").events, []);
        for key in ["b", "c"] {
            charges.execute(key, &charge, &cause).await.expect_err("it was voided");
        }
        charges.execute("d", &charge, &cause).await.expect("charged");
        charges.execute("d", &void, &cause).await.expect("voided");
        assert_eq!(said(&*store, "charge-d").await, said(&*store, "charge-b").await);
    }
}
