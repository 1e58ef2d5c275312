use std::fmt::Display;

use futures::future::BoxFuture;
use parking_lot::RwLock;

use super::{ApplyError, View, ViewError};
use crate::store::{Position, StoredEvent};

/// A view in memory: it is rebuilt from the events at each start. View and position move in one step.
///
/// # Examples
/// ```
/// use steadfast_core::projection::MemoryView;
/// use steadfast_core::store::StoredEvent;
///
/// let count = MemoryView::new(0_u64, |count: &mut u64, _: &StoredEvent| {
///     *count += 1;
///     Ok::<_, std::convert::Infallible>(())
/// });
/// assert_eq!(count.look(|count| *count), 0);
/// ```
pub struct MemoryView<S, F> {
    state: RwLock<(S, Position)>,
    apply: F,
    skipped: RwLock<Vec<(Position, String)>>,
}

/// How many events that were passed are remembered.
const SKIPPED_MAX: usize = 1_000;

impl<S, F, E> MemoryView<S, F>
where
    F: Fn(&mut S, &StoredEvent) -> Result<(), E>,
{
    /// Makes a view that begins as `empty` and is changed by `apply`, which must leave it unchanged when it fails.
    pub fn new(empty: S, apply: F) -> Self {
        Self { state: RwLock::new((empty, Position::START)), apply, skipped: RwLock::default() }
    }
}

impl<S, F> MemoryView<S, F> {
    /// Shows the view to `question`. Events wait meanwhile.
    pub fn look<R>(&self, question: impl FnOnce(&S) -> R) -> R {
        question(&self.state.read().0)
    }

    /// Returns where events stand that were passed, and why: the newest thousand.
    pub fn skipped(&self) -> Vec<(Position, String)> {
        self.skipped.read().clone()
    }
}

impl<S, F, E> View for MemoryView<S, F>
where
    S: Send + Sync + 'static,
    F: Fn(&mut S, &StoredEvent) -> Result<(), E> + Send + Sync + 'static,
    E: Display,
{
    fn position(&self) -> BoxFuture<'_, Result<Position, ViewError>> {
        Box::pin(async { Ok(self.state.read().1) })
    }

    fn apply<'a>(
        &'a self,
        after: Position,
        events: &'a [StoredEvent],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            ApplyError::check(self.state.read().1, after)?;
            for (index, event) in events.iter().enumerate() {
                // Given back after each, so that readers need not wait for a batch.
                let mut state = self.state.write();
                let (view, position) = &mut *state;
                let applied = (self.apply)(view, event);
                applied.map_err(|error| ApplyError::Event {
                    index,
                    reason: error.to_string(),
                    retryable: false,
                })?;
                *position = event.position;
            }
            Ok(())
        })
    }

    fn skip<'a>(
        &'a self,
        after: Position,
        event: &'a StoredEvent,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            ApplyError::check(self.state.read().1, after)?;
            let mut skipped = self.skipped.write();
            if skipped.len() >= SKIPPED_MAX {
                skipped.remove(0);
            }
            skipped.push((event.position, reason.to_owned()));
            self.state.write().1 = event.position;
            Ok(())
        })
    }
}

impl<S, F> std::fmt::Debug for MemoryView<S, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryView").field("position", &self.state.read().1).finish_non_exhaustive()
    }
}
