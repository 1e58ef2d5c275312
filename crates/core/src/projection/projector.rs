use std::sync::Arc;

use super::follow::Work;
use super::lag::Looked;
use super::metrics::Counters;
use super::{Error, Lag, Probe, ProjectionMetrics, Settings, View};
use crate::cell::Cell;
use crate::store::EventStore;

/// Keeps a view up to date with a store; see the [module](super).
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use steadfast_core::Event;
/// use steadfast_core::projection::{MemoryView, Projector, Settings};
/// use steadfast_core::store::{Batch, Condition, Durability, EventStore, MemoryStore, StoredEvent};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = Arc::new(MemoryStore::new());
/// let batch = Batch::to_stream("order-1", [Event::new("/orders", "order.created").build()]);
/// store.append(batch, Condition::Any, Durability::Accepted).await?;
///
/// let count = || {
///     Arc::new(MemoryView::new(0_u64, |count: &mut u64, _: &StoredEvent| {
///         *count += 1;
///         Ok::<_, std::convert::Infallible>(())
///     }))
/// };
/// let projector = Projector::new("orders-count", store.clone(), count(), Settings::default());
/// // A service runs it as long as it lives; here the store closes when its events are applied.
/// projector.catch_up().await?;
/// assert_eq!(projector.view().look(|count| *count), 1);
/// # Ok(()) }
/// ```
pub struct Projector<V> {
    work: Work,
    current: Cell<Arc<V>>,
}

impl<V: View> Projector<V> {
    /// Makes the projection `name` of what is in `store` into `view`.
    pub fn new(
        name: impl Into<Arc<str>>,
        store: Arc<dyn EventStore>,
        view: Arc<V>,
        settings: Settings,
    ) -> Self {
        let work = Work { store, name: name.into(), settings, counters: Arc::new(Counters::default()) };
        Self { work, current: Cell::new(view) }
    }

    /// Returns the view that is kept up to date now: ask again for each use, for a rebuilt one may take its place.
    pub fn view(&self) -> Arc<V> {
        Arc::clone(&self.current.load())
    }

    /// Applies what is stored and what is to come, until the store is closed. One run at a time.
    ///
    /// # Errors
    /// [`Error`]; running again goes on where the view stands.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the next run goes on where the view stands.
    pub async fn run(&self) -> Result<(), Error> {
        let mut switched = self.current.watch();
        loop {
            // The first call gives the view at hand.
            let Ok(view) = switched.changed().await else { return Ok(()) };
            let view = Arc::clone(&view);
            tokio::select! {
                biased;
                _ = until_other(&self.current, &view) => {}
                ended = self.work.follow(&*view) => return ended,
                never = self.work.watch_lag(&*view) => match never {},
            }
        }
    }

    /// Applies what is stored now, and returns.
    ///
    /// # Errors
    /// As for [`run`](Self::run).
    ///
    /// # Cancel safety
    /// As for [`run`](Self::run).
    pub async fn catch_up(&self) -> Result<(), Error> {
        let view = self.view();
        self.work.catch_up(&*view).await
    }

    /// Builds `fresh` beside the view that is read, while that is kept up to date, and puts it in its place once less
    /// than a batch of events is missing in it; returns the one that it replaces.
    ///
    /// # Errors
    /// As for [`run`](Self::run); the view that is read stays then.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the view that is read in its place; `fresh` can be built on.
    pub async fn rebuild(&self, fresh: Arc<V>) -> Result<Arc<V>, Error> {
        self.work.catch_up(&*fresh).await?;
        let before = self.view();
        self.current.replace(fresh);
        self.work.counters.switched();
        Ok(before)
    }

    /// Asks the store how far the view is behind; [`metrics`](Self::metrics) have it from then on.
    ///
    /// # Errors
    /// As for [`run`](Self::run).
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn lag(&self) -> Result<Lag, Error> {
        let view = self.view();
        self.work.lag(&*view, &mut Looked::default()).await
    }

    /// Returns what was done so far.
    pub fn metrics(&self) -> ProjectionMetrics {
        self.work.counters.snapshot()
    }

    /// Returns what shows [`metrics`](Self::metrics), and keeps neither the view nor the store.
    pub fn probe(&self) -> Probe {
        Probe { name: Arc::clone(&self.work.name), counters: Arc::clone(&self.work.counters) }
    }
}

/// Waits until another view has taken the place of `view`.
async fn until_other<V>(current: &Cell<Arc<V>>, view: &Arc<V>) {
    let mut watch = current.watch();
    while let Ok(now) = watch.changed().await {
        if !Arc::ptr_eq(&now, view) {
            return;
        }
    }
    std::future::pending::<()>().await;
}

impl<V> std::fmt::Debug for Projector<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Projector")
            .field("name", &self.work.name)
            .field("settings", &self.work.settings)
            .finish_non_exhaustive()
    }
}
