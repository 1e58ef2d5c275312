//! How far a view is behind, and who looks.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use futures::TryStreamExt;

use super::follow::Work;
use super::{Error, View};
use crate::store::{Position, Query};

/// The shortest pause between two looks.
const PAUSE_MIN: Duration = Duration::from_millis(1);

/// How far a view is behind its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lag {
    /// Up to where events are in the view.
    pub position: Position,
    /// The first event that is not, if there is one.
    pub next: Option<Position>,
    /// How long ago that one happened.
    pub age: Duration,
}

impl Lag {
    pub(super) fn new(position: Position, next: Option<(Position, SystemTime)>, now: SystemTime) -> Self {
        let age = next.and_then(|(_, time)| now.duration_since(time).ok()).unwrap_or_default();
        Self { position, next: next.map(|(position, _)| position), age }
    }

    /// Says whether everything that is stored is in the view.
    pub fn is_caught_up(&self) -> bool {
        self.next.is_none()
    }
}

/// What earlier looks have found, so that the next one need not read it again: where nothing matches a filter, a store may
/// have to go through all events to tell.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// From where to where nothing is for the view.
    nothing: (Position, Position),
}

impl Looked {
    /// Returns after what the next event for a view that stands at `position` is to be looked for.
    fn after(&self, position: Position) -> Position {
        let (from, to) = self.nothing;
        // A view that has gone back misses events from before.
        if position < from { position } else { position.max(to) }
    }
}

impl Work {
    /// Looks how far `view` is behind, and notes it.
    pub(super) async fn lag(&self, view: &impl View, looked: &mut Looked) -> Result<Lag, Error> {
        let position = self.position(view, &mut self.settings.seed.rng()).await?;
        // First the head: nothing appears before it later.
        let head = self.store.head().await?;
        let after = looked.after(position);
        let next = if after < head {
            let from = (after > Position::START).then_some(after);
            let query =
                Query { filter: self.settings.filter.clone(), from, limit: Some(1), ..Query::default() };
            self.store.read(query).try_next().await?
        } else {
            None
        };
        if next.is_none() {
            looked.nothing = (position, after.max(head));
        }
        let next = next.map(|stored| (stored.position, stored.event.time()));
        let lag = Lag::new(position, next, self.settings.clock.now());
        self.counters.told(lag);
        Ok(lag)
    }

    /// Looks again and again how far `view` is behind, so that whoever asks need not wait for the store.
    pub(super) async fn watch_lag(&self, view: &impl View) -> Infallible {
        let mut looked = Looked::default();
        loop {
            if let Err(error) = self.lag(view, &mut looked).await {
                tracing::debug!(projection = &*self.name, %error, "how far a view is behind cannot be told");
            }
            tokio::time::sleep(self.settings.lag_every.max(PAUSE_MIN)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_held_nothing_is_passed_over_but_not_by_a_view_that_has_gone_back() {
        let at = |number| Position::from_parts(number, 0);
        let looked = Looked { nothing: (at(10), at(20)) };
        let after = [5, 9, 10, 15, 25].map(|number| looked.after(at(number)));
        assert_eq!(after, [5, 9, 20, 20, 25].map(at));
    }
}
