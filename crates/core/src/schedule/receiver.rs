use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use steadfast_base::Deadline;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::entry::{DELIVERED, OPENED, opened};
use super::pending::Pending;
use super::{Error, Schedule};
use crate::store::{self, Batch, Checkpoint, Condition, Durability, Filter, Position, Query, StoredEvent};
use crate::transport::tail::pump::pump;
use crate::transport::{self, Link, LinkState, Outcome, Received, Receiver, Settlement};

pub(super) const SYSTEM: &str = "steadfast";

/// How long at most until the clock is looked at again, for wall time may be set forward.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many entries may be read ahead.
const READ_AHEAD: usize = 256;
/// After how many ended commands the place to begin reading at is saved.
const SAVE_EVERY: u64 = 1_000;

/// Hands out the commands of a schedule that are due.
struct Due {
    schedule: Schedule,
    in_flight_max: usize,
    state: Mutex<State>,
    /// What the stream says next. One receive at a time reads it.
    entries: tokio::sync::Mutex<mpsc::Receiver<Result<StoredEvent, store::Error>>>,
    checkpoint: tokio::sync::Mutex<Checkpoint>,
    /// Something was settled.
    settled: Notify,
    closed: CancellationToken,
    link: Arc<watch::Sender<Link>>,
    reader: AbortOnDropHandle<()>,
}

struct State {
    pending: Pending,
    /// Up to where the stream was read.
    read: Position,
    /// Commands that have ended since the place to begin reading at was saved.
    ended: u64,
    /// Where it is written that this receiver serves the schedule.
    opened: Position,
    /// Why nothing is handed out any more.
    failure: Option<transport::Error>,
}

impl State {
    fn apply(&mut self, stored: &StoredEvent) {
        if stored.event.kind() == OPENED && stored.position > self.opened {
            let reason = format!("another receiver has taken `{}` over; stop one of them", stored.stream);
            self.failure = Some(transport::Error::Rejected { system: SYSTEM, reason });
        }
        self.pending.apply(stored);
        self.read = stored.position;
    }

    fn take(&mut self, entry: Result<StoredEvent, store::Error>) {
        match entry {
            Ok(stored) => self.apply(&stored),
            Err(error) => self.failure = Some(failed(error)),
        }
    }
}

pub(super) async fn open(
    schedule: Schedule,
    in_flight_max: usize,
) -> Result<Box<dyn Receiver>, transport::Error> {
    let store = Arc::clone(&schedule.store);
    // Written before anything is read: what an earlier receiver hands out after this, it does unknowingly.
    let batch = Batch::to_stream(Arc::clone(&schedule.stream), [opened()]);
    let opened = store.append(batch, Condition::Any, schedule.durability).await.map_err(failed)?.position;
    let checkpoint = Checkpoint::load(&*store, &schedule.stream).await.map_err(failed)?;
    let (pending, read) = (Pending::default(), checkpoint.position());
    let mut state = State { pending, read, ended: 0, opened, failure: None };
    // All is read before anything is handed out, for what was delivered must be known first.
    let filter = Filter::stream(Arc::clone(&schedule.stream));
    let query = Query { filter: filter.clone(), ..Query::after(state.read) };
    let mut stored = store.read(query);
    while let Some(stored) = stored.try_next().await.map_err(failed)? {
        state.apply(&stored);
    }
    drop(stored);
    let (sender, entries) = mpsc::channel(READ_AHEAD);
    let link = Arc::new(watch::Sender::new(Link::Up));
    let reader = tokio::spawn(pump(store, filter, state.read, |_| true, sender, Arc::clone(&link)));
    Ok(Box::new(Due {
        schedule,
        in_flight_max,
        state: Mutex::new(state),
        entries: tokio::sync::Mutex::new(entries),
        checkpoint: tokio::sync::Mutex::new(checkpoint),
        settled: Notify::new(),
        closed: CancellationToken::new(),
        link,
        reader: AbortOnDropHandle::new(reader),
    }))
}

#[allow(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
fn failed(error: store::Error) -> transport::Error {
    transport::Error::of_store(SYSTEM, &error)
}

impl Due {
    async fn receive_due(&self, max: usize) -> Result<Vec<Received>, transport::Error> {
        let mut entries = self.entries.lock().await;
        loop {
            let settled = self.settled.notified();
            let wait = {
                let mut state = self.state.lock();
                while let Ok(entry) = entries.try_recv() {
                    state.take(entry);
                }
                if let Some(failure) = &state.failure {
                    return Err(failure.clone());
                }
                let now = self.schedule.clock.now();
                let room = self.in_flight_max.saturating_sub(state.pending.in_flight());
                let due = state.pending.hand_out(now, room.min(max.max(1)));
                if !due.is_empty() {
                    return Ok(due);
                }
                let next = state.pending.next_at().filter(|_| room > 0);
                next.map(|at| at.duration_since(now).unwrap_or_default().min(LOOK_EVERY))
            };
            tokio::select! {
                entry = entries.recv() => match entry {
                    Some(entry) => self.state.lock().take(entry),
                    None => return Ok(Vec::new()),
                },
                () = settled => {}
                () = tokio::time::sleep(wait.unwrap_or(LOOK_EVERY)) => {}
            }
        }
    }

    async fn settle_all(&self, settlements: &[Settlement]) -> Result<(), transport::Error> {
        for Settlement { token, outcome } in settlements {
            if *outcome == Outcome::Released {
                self.state.lock().pending.put_back(*token);
                self.settled.notify_waiters();
                continue;
            }
            let Some((id, requested)) = self.state.lock().pending.handed_out(*token) else { continue };
            // Until it is written it stays handed out: whoever was not told settles again, and what has to be read
            // again by the next receiver includes it.
            self.schedule.end(DELIVERED, id, requested).await.map_err(|error| match error {
                Error::Store(error) => failed(error),
                other => transport::Error::Rejected { system: SYSTEM, reason: other.to_string() },
            })?;
            {
                let mut state = self.state.lock();
                state.pending.forget(*token);
                state.ended += 1;
            }
            self.settled.notify_waiters();
        }
        if self.state.lock().ended >= SAVE_EVERY {
            self.save().await;
        }
        Ok(())
    }

    /// Saves where the next receiver begins to read: before the oldest request that has not ended.
    async fn save(&self) {
        let mut checkpoint = self.checkpoint.lock().await;
        let place = {
            let mut state = self.state.lock();
            state.ended = 0;
            let before = |position: Position| match position.parts() {
                (major, 0) => Position::from_parts(major.saturating_sub(1), u64::MAX),
                (major, minor) => Position::from_parts(major, minor - 1),
            };
            state.pending.oldest_request().map_or(state.read, before)
        };
        let durability = self.schedule.durability.min(Durability::Written);
        if place > checkpoint.position()
            && let Err(error) = checkpoint.save(&*self.schedule.store, place, durability).await
        {
            // Without it the next receiver reads more.
            tracing::warn!(schedule = &*self.schedule.name, %error, "the place to begin reading was not saved");
        }
    }
}

impl Receiver for Due {
    fn receive(&self, max: usize) -> BoxFuture<'_, Result<Vec<Received>, transport::Error>> {
        Box::pin(async move {
            tokio::select! {
                biased;
                () = self.closed.cancelled() => Ok(Vec::new()),
                due = self.receive_due(max) => due,
            }
        })
    }

    fn settle<'a>(&'a self, settlements: &'a [Settlement]) -> BoxFuture<'a, Result<(), transport::Error>> {
        Box::pin(self.settle_all(settlements))
    }

    fn link(&self) -> LinkState {
        self.link.subscribe()
    }

    fn close(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), transport::Error>> {
        Box::pin(async move {
            self.closed.cancel();
            self.reader.abort();
            self.link.send_replace(Link::Closed);
            tokio::time::timeout_at(deadline.instant(), self.save())
                .await
                .map_err(|_| transport::Error::DeadlineExceeded { system: SYSTEM })
        })
    }
}
