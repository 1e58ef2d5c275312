use std::sync::Arc;
use std::time::Duration;

use steadfast::core::projection::{self, MemoryView, Projector, Settings};
use steadfast::core::snapshot::NotDecoded;
use steadfast::core::store::{self, EventStore, Position, StoredEvent};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long whoever wants all that the log says waits for it.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(2);
/// How long to wait before a log that could not be read is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

type Apply<S> = Box<dyn Fn(&mut S, &StoredEvent) -> Result<(), NotDecoded> + Send + Sync>;

/// What a log says, in memory: made of all its events at the start, and following it from then on.
///
/// It holds what is in the log whoever put it there, and whatever became of an append whose answer was lost.
pub struct LogView<S> {
    store: Arc<dyn EventStore>,
    projector: Projector<MemoryView<S, Apply<S>>>,
    applied: watch::Receiver<Position>,
}

/// The view has not seen all that is in the log: ask again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Behind {
    /// It is not there yet.
    #[error("the log is being read")]
    Late,
    /// The log cannot be asked how long it is.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl<S: Send + Sync + 'static> LogView<S> {
    /// Makes the view called `name` of all that is in `store`: `empty`, changed by `apply`.
    ///
    /// # Errors
    /// The store cannot be read, or holds an event that `apply` does not know.
    pub async fn load(
        name: &'static str,
        store: Arc<dyn EventStore>,
        empty: S,
        apply: impl Fn(&mut S, &StoredEvent) -> Result<(), NotDecoded> + Send + Sync + 'static,
    ) -> Result<Self, projection::Error> {
        let (told, applied) = watch::channel(Position::START);
        let apply: Apply<S> = Box::new(move |state, stored| {
            apply(state, stored)?;
            told.send_replace(stored.position);
            Ok(())
        });
        let view = Arc::new(MemoryView::new(empty, apply));
        let projector = Projector::new(name, Arc::clone(&store), view, Settings::default());
        projector.catch_up().await?;
        Ok(Self { store, projector, applied })
    }

    /// Returns what shows how far the view is behind, and what became of events.
    pub fn probe(&self) -> projection::Probe {
        self.projector.probe()
    }

    /// Shows the view to `question`. Events wait meanwhile.
    pub fn look<R>(&self, question: impl FnOnce(&S) -> R) -> R {
        self.projector.view().look(question)
    }

    /// Waits until the view has seen what is in the log now, at most two seconds.
    ///
    /// # Errors
    /// [`Behind`].
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn caught_up(&self) -> Result<(), Behind> {
        let head = self.store.head().await?;
        let mut applied = self.applied.clone();
        let seen = tokio::time::timeout(CATCH_UP_WITHIN, applied.wait_for(|position| *position >= head));
        match seen.await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Behind::Late),
        }
    }

    /// Follows the log until `stopping` is cancelled or the store is closed; while the store is away it tries again.
    pub async fn keep_up(self: Arc<Self>, stopping: CancellationToken) {
        loop {
            match stopping.run_until_cancelled(self.projector.run()).await {
                None | Some(Ok(())) => return,
                Some(Err(error)) => tracing::warn!(%error, "a view waits for its log"),
            }
            if stopping.run_until_cancelled(tokio::time::sleep(AGAIN_AFTER)).await.is_none() {
                return;
            }
        }
    }
}

impl<S> std::fmt::Debug for LogView<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogView").field("projector", &self.projector).finish_non_exhaustive()
    }
}
