use std::fmt;
use std::sync::Arc;

use super::ProjectionMetrics;
use super::metrics::Counters;

/// Shows what a projection has done and how far it is behind, without owning it; see
/// [`Projector::probe`](super::Projector::probe).
#[derive(Clone)]
pub struct Probe {
    pub(super) name: Arc<str>,
    pub(super) counters: Arc<Counters>,
}

impl Probe {
    /// Returns the name of the projection.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what was done so far. It asks neither the store nor the view.
    pub fn snapshot(&self) -> ProjectionMetrics {
        self.counters.snapshot()
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Probe").field(&self.name()).finish()
    }
}
