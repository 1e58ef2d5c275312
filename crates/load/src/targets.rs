use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// The values that a plan's templates take from outside, such as `orders.url`; they may change while the load
/// runs, for a process that was started again has another port. Clones share the same values.
///
/// # Examples
/// ```
/// use steadfast_load::Targets;
///
/// let targets = Targets::from([("orders.url", "http://127.0.0.1:8080")]);
/// targets.set("orders.url", "http://127.0.0.1:8081");
/// assert_eq!(targets.get("orders.url").as_deref(), Some("http://127.0.0.1:8081"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Targets {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    values: Mutex<HashMap<String, Arc<str>>>,
    version: AtomicU64,
}

impl Targets {
    /// Creates an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the value of `name`; attempts that start from now on use it.
    pub fn set(&self, name: impl Into<String>, value: impl Into<Arc<str>>) {
        let (name, value) = (name.into(), value.into());
        let mut values = self.shared.values.lock();
        if values.get(&name) != Some(&value) {
            values.insert(name, value);
            self.shared.version.fetch_add(1, Ordering::Release);
        }
    }

    /// Removes `name`: attempts that need it fail as if nothing listened there, until it is set again.
    pub fn remove(&self, name: &str) {
        if self.shared.values.lock().remove(name).is_some() {
            self.shared.version.fetch_add(1, Ordering::Release);
        }
    }

    /// Returns the value of `name`.
    pub fn get(&self, name: &str) -> Option<Arc<str>> {
        self.shared.values.lock().get(name).cloned()
    }

    /// Returns a number that grows with each change, so that readers look values up only then.
    pub(crate) fn version(&self) -> u64 {
        self.shared.version.load(Ordering::Acquire)
    }
}

impl<K: Into<String>, V: Into<Arc<str>>, const N: usize> From<[(K, V); N]> for Targets {
    fn from(values: [(K, V); N]) -> Self {
        let targets = Self::new();
        values.into_iter().for_each(|(name, value)| targets.set(name, value));
        targets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_tells_of_changes_and_of_nothing_else() {
        let targets = Targets::from([("a", "1")]);
        let before = targets.version();
        targets.set("a", "1");
        targets.remove("b");
        assert_eq!(targets.version(), before);
        targets.remove("a");
        assert!(targets.version() > before);
        assert_eq!(targets.get("a"), None);
    }
}
