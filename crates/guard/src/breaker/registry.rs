//! All breakers of a process, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;

use super::{Breaker, BreakerPolicy, Snapshot};

/// The breakers of a process, so that an operator can list, open and close them. Clones share the list.
///
/// # Examples
/// ```
/// use steadfast_guard::breaker::{BreakerPolicy, Phase, Registry};
///
/// let registry = Registry::default();
/// let payment = registry.breaker("payment", BreakerPolicy::default());
/// registry.get("payment").expect("it was just made").open();
/// assert_eq!(payment.phase(), Phase::Open);
/// assert_eq!(registry.list()[0].name, "payment");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Registry {
    breakers: Arc<RwLock<BTreeMap<Box<str>, Breaker>>>,
}

impl Registry {
    /// Returns the breaker called `name`, which is made by `policy` if there is none yet.
    pub fn breaker(&self, name: &str, policy: BreakerPolicy) -> Breaker {
        let mut breakers = self.breakers.write();
        breakers.entry(name.into()).or_insert_with(|| Breaker::new(name, policy)).clone()
    }

    /// Returns the breaker called `name`, if there is one.
    pub fn get(&self, name: &str) -> Option<Breaker> {
        self.breakers.read().get(name).cloned()
    }

    /// Returns what all breakers look like now, by name.
    pub fn list(&self) -> Vec<Snapshot> {
        self.breakers.read().values().map(Breaker::snapshot).collect()
    }
}
