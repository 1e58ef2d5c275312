//! All breakers of a process, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::broadcast;

use super::handle::CHANGES_MAX;
use super::{Breaker, BreakerPolicy, Change, Snapshot};

/// The breakers of a process, so that an operator can list, open and close them. Clones share the list; calls never
/// look at it.
///
/// # Examples
/// ```
/// use steadfast_guard::breaker::{BreakerPolicy, Cause, Phase, Registry};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let registry = Registry::default();
/// let mut changes = registry.subscribe();
/// let payment = registry.breaker("payment", BreakerPolicy::default());
/// registry.get("payment").expect("it was just made").open();
/// assert_eq!(payment.phase(), Phase::Open);
/// assert_eq!(registry.list()[0].name, "payment");
/// assert_eq!(changes.recv().await.map(|change| change.cause), Ok(Cause::ByHand));
/// # });
/// ```
#[derive(Debug, Clone)]
pub struct Registry {
    breakers: Arc<RwLock<BTreeMap<Box<str>, Breaker>>>,
    changes: broadcast::Sender<Change>,
}

impl Registry {
    /// Returns the breaker called `name`, which is made by `policy` if there is none yet.
    pub fn breaker(&self, name: &str, policy: BreakerPolicy) -> Breaker {
        let mut breakers = self.breakers.write();
        let make = || Breaker::with_changes(name, policy, self.changes.clone());
        breakers.entry(name.into()).or_insert_with(make).clone()
    }

    /// Returns the breaker called `name`, if there is one.
    pub fn get(&self, name: &str) -> Option<Breaker> {
        self.breakers.read().get(name).cloned()
    }

    /// Returns what all breakers look like now, by name.
    pub fn list(&self) -> Vec<Snapshot> {
        self.breakers.read().values().map(Breaker::snapshot).collect()
    }

    /// Returns a receiver of the changes of all breakers from now on, also of those that are made later. One that lags
    /// behind by more than 64 changes is told how many it has missed.
    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }
}

impl Default for Registry {
    /// Creates an empty registry.
    fn default() -> Self {
        Self { breakers: Arc::default(), changes: broadcast::Sender::new(CHANGES_MAX) }
    }
}
