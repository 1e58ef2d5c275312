//! How something that runs looks from outside.

use std::fmt;
use std::sync::Arc;

/// Shows how a scope, a pool of workers or a pool of connections looks, without owning it: what is shown can end although
/// there is a probe. `S` is what it looks like; whoever keeps counts of its own shows them by [`Observed`].
///
/// # Examples
/// ```
/// use steadfast_guard::{Scope, ScopePolicy};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let scope = Scope::new("orders", ScopePolicy::default());
/// let probe = scope.probe();
/// assert_eq!((probe.name(), probe.snapshot().alive), ("orders", 0));
/// # }
/// ```
pub struct Probe<S>(Arc<dyn Observed<S>>);

/// What a probe shows. It is kept by the probe, so it is to keep nothing that has to end: counts, not connections.
pub trait Observed<S>: Send + Sync {
    /// Returns which one it is, as metrics show it.
    fn name(&self) -> &str;

    /// Returns how it looks now. It must not block.
    fn snapshot(&self) -> S;
}

impl<S> Probe<S> {
    /// Creates a probe of what is observed.
    pub fn new(observed: Arc<dyn Observed<S>>) -> Self {
        Self(observed)
    }

    /// Returns the name of what is shown.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Returns how it looks now.
    pub fn snapshot(&self) -> S {
        self.0.snapshot()
    }
}

impl<S> Clone for Probe<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> fmt::Debug for Probe<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Probe").field(&self.name()).finish()
    }
}
