use std::fmt;
use std::sync::{Arc, Weak};

use super::RepositoryMetrics;
use super::metrics::{Counters, Held};

/// Shows what a repository has done and what it keeps in memory, without owning it; see
/// [`Repository::probe`](super::Repository::probe).
#[derive(Clone)]
pub struct Probe {
    pub(super) name: Arc<str>,
    pub(super) counters: Arc<Counters>,
    pub(super) cache: Weak<dyn Held>,
}

/// The cache of a repository that is gone.
struct Nothing;

impl Held for Nothing {
    fn held(&self) -> (u64, u64) {
        (0, 0)
    }
}

impl Probe {
    /// Returns the name under which the repository is shown.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what was done so far and what the cache holds. It does not ask the store.
    pub fn snapshot(&self) -> RepositoryMetrics {
        match self.cache.upgrade() {
            Some(cache) => self.counters.snapshot(&*cache),
            None => self.counters.snapshot(&Nothing),
        }
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Probe").field(&self.name()).finish()
    }
}
