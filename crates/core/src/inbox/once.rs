use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use steadfast_base::Seed;
use tokio::sync::Mutex;

use super::partition::Partition;
use super::{Effect, Error, InboxOptions};
use crate::Event;
use crate::store::{self, Appended, Condition, Durability, EventStore};

/// How often an effect is decided on again because somebody else has changed what it rests on.
const CONFLICTS_MAX: u32 = 16;

/// Applies the effect of each event once; see the [module](crate::inbox).
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use steadfast_core::Event;
/// use steadfast_core::inbox::{Effect, Inbox, InboxOptions, Once};
/// use steadfast_core::store::{EventStore, MemoryStore};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
/// let inbox = Inbox::new(Arc::clone(&store), InboxOptions::new("shipping"))?;
///
/// let received = Event::new("/orders", "order.confirmed").subject("order-1").build();
/// let ship = || async {
///     let notice = Event::new("/shipping", "notice.sent").subject("order-1").build();
///     Ok::<_, std::convert::Infallible>(Effect::to_stream("notices-1", [notice]))
/// };
/// assert!(matches!(inbox.once(&received, ship).await?, Once::Applied(_)));
/// assert_eq!(inbox.once(&received, ship).await?, Once::Duplicate);
/// # Ok(()) }
/// ```
pub struct Inbox {
    store: Arc<dyn EventStore>,
    name: Arc<str>,
    durability: Durability,
    partitions: Vec<Mutex<Partition>>,
    duplicates: AtomicU64,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Once {
    /// Its effect was appended now.
    Applied(Appended),
    /// It had been handled before; nothing was appended.
    Duplicate,
}

impl Inbox {
    /// Makes an inbox in `store`; what it remembers is read when it is first needed.
    ///
    /// # Errors
    /// [`store::Error::Unsupported`] when the store cannot append to several streams at once, or cannot achieve the
    /// durability asked for.
    pub fn new(store: Arc<dyn EventStore>, options: InboxOptions) -> Result<Self, store::Error> {
        let capabilities = store.capabilities();
        if !capabilities.multi_stream {
            return Err(store::Error::Unsupported {
                what: "an inbox (a batch over several streams)".to_owned(),
            });
        }
        let durability =
            options.durability.unwrap_or_else(|| capabilities.durability_max.min(Durability::Durable));
        if durability > capabilities.durability_max {
            return Err(store::Error::unsupported_durability(durability));
        }
        let InboxOptions { name, window, partitions, .. } = options;
        let partitions = partitions.max(1);
        let partition = |number| {
            let stream = format!("inbox-{name}-{number}-of-{partitions}");
            Mutex::new(Partition::new(stream.into(), window.max(1)))
        };
        let partitions = (0..partitions).map(partition).collect();
        Ok(Self { store, name, durability, partitions, duplicates: AtomicU64::new(0) })
    }

    /// Returns how many duplicates it has recognised.
    pub fn duplicates(&self) -> u64 {
        self.duplicates.load(Ordering::Relaxed)
    }

    /// Appends what `effect` decides on, unless `event` was handled before. Events of one partition are applied one
    /// after the other.
    ///
    /// When the condition of the effect does not hold, `effect` decides again, a bounded number of times: it should
    /// read what it rests on.
    ///
    /// # Errors
    /// [`Error::Effect`] when `effect` fails, [`Error::Store`] when appending does: handle the event again.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether the effect is appended; handling the event again tells.
    pub async fn once<F, R, E>(&self, event: &Event, mut effect: F) -> Result<Once, Error<E>>
    where
        F: FnMut() -> R,
        R: Future<Output = Result<Effect, E>>,
    {
        let mut partition = self.partition(event).lock().await;
        let mut conflicts = 0;
        loop {
            partition.refresh(&*self.store).await.map_err(Error::Store)?;
            if partition.knows(event.id()) {
                self.duplicates.fetch_add(1, Ordering::Relaxed);
                return Ok(Once::Duplicate);
            }
            let Effect { mut batch, condition } = effect().await.map_err(Error::Effect)?;
            let (marker, unmoved) = partition.mark(event.id());
            // Last, so that the place returned is the marker's.
            batch.events.push(marker);
            let condition = match condition {
                Condition::Any => Condition::Streams(vec![unmoved]),
                Condition::Streams(mut conditions) => {
                    conditions.push(unmoved);
                    Condition::Streams(conditions)
                }
                Condition::NoneMatching { .. } => {
                    let what = "an inbox with a condition on a filter".to_owned();
                    return Err(Error::Store(store::Error::Unsupported { what }));
                }
            };
            // Also if this future is dropped: it may be appended all the same.
            partition.doubt();
            match self.store.append(batch, condition, self.durability).await {
                Ok(appended) => {
                    partition.remember(event.id(), appended.revision);
                    partition.trust();
                    return Ok(Once::Applied(appended));
                }
                Err(error @ store::Error::Conflict { .. }) => {
                    conflicts += 1;
                    if conflicts > CONFLICTS_MAX {
                        return Err(Error::Store(error));
                    }
                    let stream = partition.stream();
                    tracing::debug!(inbox = &*self.name, stream, %error, "deciding again");
                }
                Err(error) => return Err(Error::Store(error)),
            }
        }
    }

    fn partition(&self, event: &Event) -> &Mutex<Partition> {
        // Events without a key are spread by their id.
        let hash = match event.partition_key() {
            Some(key) => Seed::new(0).derive(key).value(),
            None => Seed::new(0).derive(&event.id().to_string()).value(),
        };
        &self.partitions[(hash % self.partitions.len() as u64) as usize]
    }
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox")
            .field("name", &self.name)
            .field("partitions", &self.partitions.len())
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}
