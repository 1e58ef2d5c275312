use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;
use parking_lot::Mutex;
use steadfast_base::Deadline;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use super::pump::pump;
use super::source::usual;
use super::state::State;
use super::{SYSTEM, is_bookkeeping, transport_error};
use crate::Event;
use crate::store::{self, Checkpoint, EventStore, Filter, Position, StoredEvent};
use crate::transport::{Error, Link, LinkState, Received, Receiver, Settlement};

/// How many events are read ahead of those that are received.
const AHEAD_MAX: usize = 64;

pub(super) struct TailReceiver {
    store: Arc<dyn EventStore>,
    state: Mutex<State>,
    changed: Notify,
    arrivals: tokio::sync::Mutex<mpsc::Receiver<Result<StoredEvent, store::Error>>>,
    noted: tokio::sync::Mutex<Noted>,
    failure: Mutex<Option<Error>>,
    pump: AbortOnDropHandle<()>,
    link: Arc<watch::Sender<Link>>,
    closed: AtomicBool,
}

/// Where the store knows the group to be.
struct Noted {
    checkpoint: Checkpoint,
    /// Where it was to be moved last, whether or not that was heard of.
    attempted: Option<Position>,
}

impl TailReceiver {
    pub(super) fn new(
        store: Arc<dyn EventStore>,
        filter: Filter,
        checkpoint: Checkpoint,
        in_flight_max: usize,
    ) -> Self {
        let (events, arrivals) = mpsc::channel(AHEAD_MAX);
        let link = Arc::new(watch::Sender::new(Link::Up));
        let wanted = |event: &Event| !is_bookkeeping(event);
        let pump = pump(Arc::clone(&store), filter, checkpoint.position(), wanted, events, Arc::clone(&link));
        Self {
            store,
            state: Mutex::new(State::new(in_flight_max)),
            changed: Notify::new(),
            arrivals: tokio::sync::Mutex::new(arrivals),
            noted: tokio::sync::Mutex::new(Noted { checkpoint, attempted: None }),
            failure: Mutex::default(),
            pump: AbortOnDropHandle::new(tokio::spawn(pump)),
            link,
            closed: AtomicBool::new(false),
        }
    }

    /// Takes new events, at least one, unless there is no room; none once the store is closed.
    ///
    /// Nothing is awaited between taking an event and handing it out, so that dropping the future loses none.
    async fn draw(&self, max: usize) -> Result<Option<Vec<Received>>, Error> {
        let mut arrivals = self.arrivals.lock().await;
        let (mut events, mut room) = (Vec::new(), self.state.lock().room().min(max));
        while events.len() < room {
            let arrival = match events.is_empty() {
                true => arrivals.recv().await,
                false => arrivals.try_recv().ok(),
            };
            match arrival {
                Some(Ok(stored)) => {
                    let mut state = self.state.lock();
                    events.push(state.hand_out(stored));
                    room = room.min(events.len() + state.room());
                }
                Some(Err(error)) => {
                    *self.failure.lock() = Some(transport_error(&error));
                    break;
                }
                None if events.is_empty() => return self.failed().map(|()| None),
                None => break,
            }
        }
        if events.is_empty() {
            self.failed()?;
        }
        Ok(Some(events))
    }

    fn failed(&self) -> Result<(), Error> {
        self.failure.lock().clone().map_or(Ok(()), Err)
    }

    /// Moves the checkpoint to where everything is handled.
    async fn note(&self) -> Result<(), Error> {
        let mut noted = self.noted.lock().await;
        loop {
            // Whoever had the lock before may have noted it.
            let Some(reached) = self.state.lock().reached() else { return Ok(()) };
            let attempted = noted.attempted.replace(reached);
            match noted.checkpoint.save(&*self.store, reached, usual(&*self.store)).await {
                Ok(()) => self.state.lock().noted(reached),
                Err(store::Error::Conflict { .. }) => {
                    let name = noted.checkpoint.name().to_owned();
                    let now = Checkpoint::load(&*self.store, &name).await;
                    noted.checkpoint = now.map_err(|error| transport_error(&error))?;
                    // A move of our own whose outcome was not heard of is none of another receiver.
                    if Some(noted.checkpoint.position()) != attempted {
                        let reason = format!("another receiver has moved the checkpoint `{name}`");
                        let error = Error::Rejected { system: SYSTEM, reason };
                        *self.failure.lock() = Some(error.clone());
                        self.changed.notify_waiters();
                        return Err(error);
                    }
                }
                Err(error) => return Err(transport_error(&error)),
            }
        }
    }
}

impl Receiver for TailReceiver {
    fn receive(&self, max: usize) -> BoxFuture<'_, Result<Vec<Received>, Error>> {
        Box::pin(async move {
            loop {
                let mut changed = pin!(self.changed.notified());
                // Before looking, so that what changes meanwhile is not missed.
                changed.as_mut().enable();
                if self.closed.load(Ordering::Acquire) {
                    return Ok(Vec::new());
                }
                self.failed()?;
                let again = self.state.lock().hand_out_again(max.max(1));
                if !again.is_empty() {
                    return Ok(again);
                }
                let has_room = self.state.lock().room() > 0;
                tokio::select! {
                    biased;
                    () = &mut changed => {}
                    drawn = self.draw(max.max(1)), if has_room => match drawn? {
                        Some(events) if events.is_empty() => {}
                        Some(events) => return Ok(events),
                        None => return Ok(Vec::new()),
                    },
                }
            }
        })
    }

    fn settle<'a>(&'a self, settlements: &'a [Settlement]) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            if self.closed.load(Ordering::Acquire) {
                return Err(Error::Closed);
            }
            self.state.lock().settle(settlements);
            self.changed.notify_waiters();
            self.note().await
        })
    }

    fn link(&self) -> LinkState {
        self.link.subscribe()
    }

    fn close(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let noted = tokio::time::timeout_at(deadline.instant(), self.note()).await;
            self.closed.store(true, Ordering::Release);
            self.pump.abort();
            self.link.send_replace(Link::Closed);
            self.changed.notify_waiters();
            noted.unwrap_or(Err(Error::DeadlineExceeded { system: SYSTEM }))
        })
    }
}
