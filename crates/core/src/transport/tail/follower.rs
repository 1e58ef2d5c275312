use std::sync::Arc;

use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::is_bookkeeping;
use crate::inbox::{Effect, Error};
use crate::store::{self, Checkpoint, Condition, Durability, EventStore, Filter, Position, StoredEvent};

/// How often an effect is decided on again because somebody else has changed what it rests on.
const CONFLICTS_MAX: u32 = 16;
/// How many events without an effect are passed before that is noted.
const UNNOTED_MAX: u32 = 256;

/// Follows a store and appends, for each event in turn, its effect together with the checkpoint: each event has its
/// effect once, whatever dies when.
///
/// Of two followers with one name, the second to append ends with [`store::Error::Conflict`].
///
/// # Examples
/// ```
/// use std::convert::Infallible;
/// use std::sync::Arc;
/// use steadfast_core::Event;
/// use steadfast_core::inbox::Effect;
/// use steadfast_core::store::{EventStore, Filter, MemoryStore};
/// use steadfast_core::transport::tail::Follower;
/// use tokio_util::sync::CancellationToken;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
/// let filter = Filter { kinds: vec!["order.confirmed".into()], ..Filter::all() };
/// let follower = Follower::new(store, "shipping", filter)?;
/// let notify = async |_| {
///     let notice = Event::new("/shipping", "notice.sent").build();
///     Ok::<_, Infallible>(Effect::to_stream("notices", [notice]))
/// };
/// follower.run(notify, CancellationToken::new()).await?;
/// # Ok(()) }
/// ```
pub struct Follower {
    store: Arc<dyn EventStore>,
    name: Arc<str>,
    filter: Filter,
    durability: Durability,
}

impl Follower {
    /// Makes a follower of the events in `store` that pass `filter`; nothing is read before it runs. Effects are
    /// made [`Durability::Durable`], or the most that the store can do.
    ///
    /// # Errors
    /// [`store::Error::Unsupported`] when the store cannot append to several streams at once.
    pub fn new(
        store: Arc<dyn EventStore>,
        name: impl Into<Arc<str>>,
        filter: Filter,
    ) -> Result<Self, store::Error> {
        let capabilities = store.capabilities();
        if !capabilities.multi_stream {
            let what = "a follower (a batch over several streams)".to_owned();
            return Err(store::Error::Unsupported { what });
        }
        let durability = capabilities.durability_max.min(Durability::Durable);
        Ok(Self { store, name: name.into(), filter, durability })
    }

    /// Follows until `cancel`, or until the store closes. `decide` says what the effect of an event is; when its
    /// condition does not hold, it decides again, a bounded number of times.
    ///
    /// # Errors
    /// [`Error::Effect`] when `decide` fails, [`Error::Store`] when reading or appending does. Running again goes on
    /// with the same event.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether the effect of the last event is appended; running again tells.
    pub async fn run<F, E>(&self, mut decide: F, cancel: CancellationToken) -> Result<(), Error<E>>
    where
        F: AsyncFnMut(StoredEvent) -> Result<Effect, E>,
    {
        let checkpoint = Checkpoint::load(&*self.store, &self.name).await.map_err(Error::Store)?;
        let mut events = self.store.subscribe(self.filter.clone(), checkpoint.position());
        let mut place = Place { checkpoint, passed: None, unnoted: 0 };
        loop {
            let stored = tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                stored = events.next() => match stored {
                    None | Some(Err(store::Error::Closed)) => return Ok(()),
                    Some(stored) => stored.map_err(Error::Store)?,
                },
            };
            if !is_bookkeeping(&stored.event) {
                self.apply(stored, &mut decide, &mut place).await?;
            }
        }
        match place.passed {
            Some(position) => self.note(position, &mut place).await.map_err(Error::Store),
            None => Ok(()),
        }
    }

    async fn apply<F, E>(
        &self,
        stored: StoredEvent,
        decide: &mut F,
        place: &mut Place,
    ) -> Result<(), Error<E>>
    where
        F: AsyncFnMut(StoredEvent) -> Result<Effect, E>,
    {
        let position = stored.position;
        let mut conflicts = 0;
        loop {
            let Effect { mut batch, condition } = decide(stored.clone()).await.map_err(Error::Effect)?;
            if batch.events.is_empty() {
                return self.pass(position, place).await.map_err(Error::Store);
            }
            let (moved, unmoved) = place.checkpoint.step(position);
            let own = Arc::clone(&unmoved.stream);
            batch.events.push(moved);
            let condition = match condition {
                Condition::Any => Condition::Streams(vec![unmoved]),
                Condition::Streams(mut conditions) => {
                    // First, for it is what ends a follower.
                    conditions.insert(0, unmoved);
                    Condition::Streams(conditions)
                }
                Condition::NoneMatching { .. } => {
                    let what = "a follower with a condition on a filter".to_owned();
                    return Err(Error::Store(store::Error::Unsupported { what }));
                }
            };
            match self.store.append(batch, condition, self.durability).await {
                Ok(_) => {
                    place.moved(position);
                    return Ok(());
                }
                Err(store::Error::Conflict { stream, actual }) => {
                    conflicts += 1;
                    if stream == own || conflicts > CONFLICTS_MAX {
                        return Err(Error::Store(store::Error::Conflict { stream, actual }));
                    }
                }
                Err(error) => return Err(Error::Store(error)),
            }
        }
    }

    /// Passes an event that has no effect; that is noted now and then, since deciding again costs nothing but time.
    async fn pass(&self, position: Position, place: &mut Place) -> Result<(), store::Error> {
        place.passed = Some(position);
        place.unnoted += 1;
        if place.unnoted >= UNNOTED_MAX { self.note(position, place).await } else { Ok(()) }
    }

    async fn note(&self, position: Position, place: &mut Place) -> Result<(), store::Error> {
        let durability = self.store.capabilities().durability_max.min(Durability::Written);
        place.checkpoint.save(&*self.store, position, durability).await?;
        (place.passed, place.unnoted) = (None, 0);
        Ok(())
    }
}

/// Where a follower is.
struct Place {
    checkpoint: Checkpoint,
    /// The last event without an effect, if that is not noted.
    passed: Option<Position>,
    unnoted: u32,
}

impl Place {
    fn moved(&mut self, position: Position) {
        self.checkpoint.moved(position);
        (self.passed, self.unnoted) = (None, 0);
    }
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower")
            .field("name", &self.name)
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}
