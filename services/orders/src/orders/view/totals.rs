use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use serde::Serialize;

use crate::orders::domain::{Details, Event, OrderId};
use crate::orders::log::Entry;

/// What the log of orders says about confirmed orders, to be compared with what the others say.
#[derive(Debug, Default)]
pub struct Totals {
    confirmed: RwLock<BTreeMap<OrderId, Confirmed>>,
}

#[derive(Debug)]
struct Confirmed {
    times: u64,
    details: Option<Arc<Details>>,
}

/// The totals at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Snapshot {
    /// How often each order has been confirmed: once.
    pub confirmed: BTreeMap<String, u64>,
    /// What each confirmed order costs.
    pub charged: BTreeMap<String, String>,
    /// What each confirmed order has set aside, by article.
    pub reserved: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Totals {
    /// Takes note of an event.
    pub fn apply(&self, id: OrderId, entry: &Entry, details: Option<&Arc<Details>>) {
        if let Entry::Order(Event::Confirmed) = entry {
            let mut confirmed = self.confirmed.write();
            let order =
                confirmed.entry(id).or_insert_with(|| Confirmed { times: 0, details: details.cloned() });
            order.times += 1;
        }
    }

    /// Returns the totals as they are now.
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (id, order) in &*self.confirmed.read() {
            snapshot.confirmed.insert(id.to_string(), order.times);
            let Some(details) = &order.details else { continue };
            snapshot.charged.insert(id.to_string(), details.total.to_string());
            let lines = snapshot.reserved.entry(id.to_string()).or_default();
            for line in &details.lines {
                *lines.entry(line.sku.to_string()).or_default() += u64::from(line.quantity.get());
            }
        }
        snapshot
    }
}
