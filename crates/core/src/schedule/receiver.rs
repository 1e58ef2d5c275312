use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt};
use parking_lot::Mutex;
use steadfast_base::Deadline;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::entry::DELIVERED;
use super::pending::Pending;
use super::{Error, Schedule};
use crate::store::{self, Checkpoint, Durability, Filter, Position, Query, StoredEvent};
use crate::transport::{self, Link, LinkState, Outcome, Received, Receiver, Settlement, link};

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
    link: watch::Sender<Link>,
    reader: JoinHandle<()>,
}

struct State {
    pending: Pending,
    /// Up to where the stream was read.
    read: Position,
    /// Commands that have ended since the place to begin reading at was saved.
    ended: u64,
}

impl State {
    fn apply(&mut self, stored: &StoredEvent) {
        self.pending.apply(stored);
        self.read = stored.position;
    }
}

pub(super) async fn open(
    schedule: Schedule,
    in_flight_max: usize,
) -> Result<Box<dyn Receiver>, transport::Error> {
    let store = Arc::clone(&schedule.store);
    let checkpoint = Checkpoint::load(&*store, &schedule.stream).await.map_err(unavailable)?;
    let mut state = State { pending: Pending::default(), read: checkpoint.position(), ended: 0 };
    // All is read before anything is handed out, for what was delivered must be known first.
    let filter = Filter::stream(Arc::clone(&schedule.stream));
    let query = Query { filter: filter.clone(), ..Query::after(state.read) };
    let mut stored = store.read(query);
    while let Some(stored) = stored.try_next().await.map_err(unavailable)? {
        state.apply(&stored);
    }
    drop(stored);
    let (sender, entries) = mpsc::channel(READ_AHEAD);
    let after = state.read;
    let reader = tokio::spawn(async move {
        let mut entries = store.subscribe(filter, after);
        while let Some(entry) = entries.next().await {
            if sender.send(entry).await.is_err() {
                return;
            }
        }
    });
    let (link, _) = link();
    link.send_replace(Link::Up);
    Ok(Box::new(Due {
        schedule,
        in_flight_max,
        state: Mutex::new(state),
        entries: tokio::sync::Mutex::new(entries),
        checkpoint: tokio::sync::Mutex::new(checkpoint),
        settled: Notify::new(),
        closed: CancellationToken::new(),
        link,
        reader,
    }))
}

#[allow(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
fn unavailable(error: store::Error) -> transport::Error {
    transport::Error::Unavailable { system: SYSTEM, reason: error.to_string() }
}

impl Due {
    async fn receive_due(&self, max: usize) -> Result<Vec<Received>, transport::Error> {
        let mut entries = self.entries.lock().await;
        loop {
            let settled = self.settled.notified();
            let wait = {
                let mut state = self.state.lock();
                while let Ok(entry) = entries.try_recv() {
                    state.apply(&entry.map_err(unavailable)?);
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
                    Some(entry) => self.state.lock().apply(&entry.map_err(unavailable)?),
                    None => return Ok(Vec::new()),
                },
                () = settled => {}
                () = tokio::time::sleep(wait.unwrap_or(LOOK_EVERY)) => {}
            }
        }
    }

    async fn settle_all(&self, settlements: &[Settlement]) -> Result<(), transport::Error> {
        for Settlement { token, outcome } in settlements {
            let Some(command) = self.state.lock().pending.take_back(*token) else { continue };
            // If this is dropped or fails, the command is handed out again.
            let mut back = PutBack { due: self, command: Some(command) };
            if let (Outcome::Handled, Some(command)) = (outcome, &back.command) {
                let (id, requested) = (command.event.id(), command.requested);
                self.schedule.end(DELIVERED, id, requested).await.map_err(|error| match error {
                    Error::Store(error) => unavailable(error),
                    other => transport::Error::Rejected { system: SYSTEM, reason: other.to_string() },
                })?;
                back.command = None;
                self.state.lock().ended += 1;
            }
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

/// Puts a command back when it is dropped, unless it was taken out.
struct PutBack<'a> {
    due: &'a Due,
    command: Option<super::pending::Command>,
}

impl Drop for PutBack<'_> {
    fn drop(&mut self) {
        if let Some(command) = self.command.take() {
            self.due.state.lock().pending.put_back(command);
        }
        self.due.settled.notify_waiters();
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

impl Drop for Due {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
