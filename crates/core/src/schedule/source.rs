use std::sync::Arc;
use std::time::SystemTime;

use futures::TryStreamExt;
use futures::future::BoxFuture;
use steadfast_base::{Clock, SystemClock};

use super::Error;
use super::entry::{CANCELLED, DELIVERED, REQUESTED, ended, requested};
use super::receiver::open;
use crate::store::{self, Batch, Condition, Durability, EventStore, Filter, NewEvent, Query};
use crate::transport::{self, Capabilities, Ordering, Receiver, Source, Subscribe};
use crate::{Event, EventId};

/// Commands with their times, in one stream of a store; see the [module](crate::schedule).
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use std::time::{Duration, SystemTime};
/// use steadfast_core::Event;
/// use steadfast_core::schedule::Schedule;
/// use steadfast_core::store::MemoryStore;
/// use steadfast_core::transport::{Source, Subscribe};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let schedule = Schedule::new(Arc::new(MemoryStore::new()), "reminders");
/// let command = Event::new("/orders", "order.remind").subject("order-1").build();
/// schedule.schedule(&command, SystemTime::now() + Duration::from_millis(20)).await?;
///
/// let receiver = schedule.open(&Subscribe::new("reminders")).await?;
/// let due = receiver.receive(10).await?;
/// assert_eq!(due[0].event.kind(), "order.remind");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Schedule {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) name: Arc<str>,
    pub(super) stream: Arc<str>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) durability: Durability,
}

impl Schedule {
    /// Makes a handle to the schedule `name` in `store`; its stream is `schedule-NAME`. Commands are as durable as the
    /// store can make them, up to [`Durability::Durable`].
    pub fn new(store: Arc<dyn EventStore>, name: &str) -> Self {
        let durability = store.capabilities().durability_max.min(Durability::Durable);
        let stream = format!("schedule-{name}").into();
        Self { store, name: name.into(), stream, clock: Arc::new(SystemClock), durability }
    }

    /// Replaces the clock that times are compared with.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Replaces the durability that [`schedule`](Self::schedule) and [`cancel`](Self::cancel) ask for.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Returns what to append, in whatever batch, so that `command` is delivered at `at`.
    ///
    /// # Errors
    /// [`Error::Time`]; [`Error::Command`].
    pub fn request(&self, command: &Event, at: SystemTime) -> Result<NewEvent, Error> {
        Ok(NewEvent { stream: Arc::clone(&self.stream), event: requested(command, at)? })
    }

    /// Asks for `command` to be delivered at `at`, rounded up to a millisecond. Asking again with the same command
    /// id, as after an unclear answer, changes nothing.
    ///
    /// # Errors
    /// As [`request`](Self::request); [`Error::Store`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether the command is scheduled; asking again makes sure.
    pub async fn schedule(&self, command: &Event, at: SystemTime) -> Result<(), Error> {
        let batch = Batch { events: vec![self.request(command, at)?] };
        self.store.append(batch, Condition::Any, self.durability).await?;
        Ok(())
    }

    /// Cancels the command `id` and says whether that was in time: false when it was never scheduled, has been
    /// handled, or was cancelled before. One that is being handled when it is cancelled may still be handled.
    ///
    /// # Errors
    /// [`Error::Store`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether the command is cancelled.
    pub async fn cancel(&self, id: EventId) -> Result<bool, Error> {
        let filter = self.about(id, &[REQUESTED]);
        let query = Query { filter, limit: Some(1), ..Query::default() };
        let Some(request) = self.store.read(query).try_next().await? else { return Ok(false) };
        self.end(CANCELLED, id, request.position).await
    }

    /// Writes the end of a command unless it has ended, and says whether it did.
    pub(super) async fn end(
        &self,
        kind: &str,
        id: EventId,
        requested: store::Position,
    ) -> Result<bool, Error> {
        let filter = self.about(id, &[DELIVERED, CANCELLED]);
        let condition = Condition::NoneMatching { filter, after: requested };
        let batch = Batch::to_stream(Arc::clone(&self.stream), [ended(kind, id)]);
        match self.store.append(batch, condition, self.durability).await {
            Ok(_) => Ok(true),
            Err(store::Error::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn about(&self, id: EventId, kinds: &[&str]) -> Filter {
        Filter {
            streams: vec![Arc::clone(&self.stream)],
            kinds: kinds.iter().map(|kind| Arc::from(*kind)).collect(),
            subjects: vec![id.to_string().into()],
        }
    }
}

impl Source for Schedule {
    fn system(&self) -> &'static str {
        super::receiver::SYSTEM
    }

    fn destination(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        let durability = self.store.capabilities().durability_max;
        Capabilities::new(Ordering::Unordered, durability).seek().deduplicates().resumes()
    }

    fn open<'a>(
        &'a self,
        subscribe: &'a Subscribe,
    ) -> BoxFuture<'a, Result<Box<dyn Receiver>, transport::Error>> {
        Box::pin(open(self.clone(), subscribe.in_flight_max.max(1)))
    }
}

impl std::fmt::Debug for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Schedule").field("stream", &self.stream).finish_non_exhaustive()
    }
}
