//! The tasks that are alive.
//!
//! Spawning is the hot path. A task costs one atomic count and three short locks of one shard out of several: to
//! enter, to add what aborts it (which exists only after it was spawned), and to leave.

use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use slab::Slab;
use steadfast_base::Deadline;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::polls::{Polls, Times};
use super::{PollTimes, Refused, TaskInfo};

pub(super) const SHARDS: usize = 8;
/// The bit of the count that says that the table takes no more.
const CLOSED: usize = 1 << (usize::BITS - 1);

#[derive(Debug)]
pub(super) struct Table {
    /// How many tasks are alive, and [`CLOSED`].
    alive: AtomicUsize,
    tasks_max: AtomicUsize,
    entered: AtomicU64,
    refused: AtomicU64,
    shards: [Shard; SHARDS],
    emptied: Notify,
    polls: Polls,
}

// A line of its own for each, so that threads do not disturb each other.
#[repr(align(128))]
#[derive(Debug, Default)]
struct Shard(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    tasks: Slab<Entry>,
    /// Tells a task from another one that has its place now.
    generation: u64,
    is_aborting: bool,
    /// Where polls are counted, of the names that have a place of their own.
    times: Vec<(&'static str, Arc<Times>)>,
}

#[derive(Debug)]
struct Entry {
    about: About,
    generation: u64,
    abort: Option<AbortHandle>,
}

impl Entries {
    fn times_of(&mut self, name: &'static str, shard: usize, polls: &Polls) -> Arc<Times> {
        // They are few, and differ in their first letters.
        if let Some((_, times)) = self.times.iter().find(|(known, _)| *known == name) {
            return Arc::clone(times);
        }
        let (times, is_own) = polls.of(name, shard);
        if is_own {
            self.times.push((name, Arc::clone(&times)));
        }
        times
    }
}

/// What the table knows of a task.
#[derive(Debug, Clone, Copy)]
pub(super) struct About {
    pub(super) name: &'static str,
    pub(super) spawned_at: &'static Location<'static>,
    pub(super) started: Instant,
    pub(super) deadline: Option<Deadline>,
}

impl About {
    pub(super) fn info(&self, now: Instant) -> TaskInfo {
        let age = now.saturating_duration_since(self.started);
        TaskInfo { name: self.name, spawned_at: self.spawned_at, age }
    }
}

/// Where a task is in the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    shard: usize,
    at: usize,
    generation: u64,
}

impl Table {
    pub(super) fn new(tasks_max: usize) -> Self {
        Self {
            alive: AtomicUsize::new(0),
            tasks_max: AtomicUsize::new(tasks_max),
            entered: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            shards: Default::default(),
            emptied: Notify::new(),
            polls: Polls::default(),
        }
    }

    /// Takes a task, and says where its polls are counted.
    pub(super) fn enter(&self, about: About) -> Result<(Key, Arc<Times>), Refused> {
        let tasks_max = self.tasks_max.load(Ordering::Relaxed);
        let before = self.alive.fetch_add(1, Ordering::AcqRel);
        if before & CLOSED != 0 || before >= tasks_max {
            self.leave_count();
            self.refused.fetch_add(1, Ordering::Relaxed);
            let is_closed = before & CLOSED != 0;
            return Err(if is_closed { Refused::Closed } else { Refused::Full { tasks_max } });
        }
        let shard = self.entered.fetch_add(1, Ordering::Relaxed) as usize % SHARDS;
        let mut entries = self.shards[shard].0.lock();
        entries.generation += 1;
        let generation = entries.generation;
        let at = entries.tasks.insert(Entry { about, generation, abort: None });
        let times = entries.times_of(about.name, shard, &self.polls);
        Ok((Key { shard, at, generation }, times))
    }

    /// Returns how long polls took, by the name of the task.
    pub(super) fn poll_times(&self) -> BTreeMap<&'static str, PollTimes> {
        self.polls.times()
    }

    /// Adds what aborts the task, which may have ended by now.
    pub(super) fn attach(&self, key: Key, abort: AbortHandle) {
        let mut entries = self.shards[key.shard].0.lock();
        let is_aborting = entries.is_aborting;
        match entries.tasks.get_mut(key.at) {
            Some(entry) if entry.generation == key.generation => {
                if is_aborting {
                    // IMPORTANT: Aborting can drop the task here and now, which locks the shard.
                    drop(entries);
                    abort.abort();
                } else {
                    entry.abort = Some(abort);
                }
            }
            _ => {}
        }
    }

    pub(super) fn leave(&self, key: Key) {
        // Dropped after the lock: the last one frees the task.
        let entry = self.shards[key.shard].0.lock().tasks.try_remove(key.at);
        drop(entry);
        self.leave_count();
    }

    fn leave_count(&self) {
        if self.alive.fetch_sub(1, Ordering::AcqRel) == CLOSED | 1 {
            self.emptied.notify_waiters();
        }
    }

    /// Takes so many from now on. Those that are alive stay.
    pub(super) fn set_tasks_max(&self, tasks_max: usize) {
        self.tasks_max.store(tasks_max, Ordering::Relaxed);
    }

    /// Takes no more tasks from now on.
    pub(super) fn close(&self) {
        self.alive.fetch_or(CLOSED, Ordering::AcqRel);
    }

    pub(super) fn alive(&self) -> usize {
        self.alive.load(Ordering::Acquire) & !CLOSED
    }

    pub(super) fn entered(&self) -> u64 {
        self.entered.load(Ordering::Relaxed)
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Waits until no task is alive in a closed table.
    pub(super) async fn emptied(&self) {
        loop {
            let mut emptied = std::pin::pin!(self.emptied.notified());
            // Listens before it looks.
            emptied.as_mut().enable();
            if self.alive() == 0 {
                return;
            }
            emptied.await;
        }
    }

    /// Aborts every task, those too that are just being spawned.
    pub(super) fn abort(&self) {
        for shard in &self.shards {
            let mut entries = shard.0.lock();
            entries.is_aborting = true;
            let aborts: Vec<_> = entries.tasks.iter().filter_map(|(_, entry)| entry.abort.clone()).collect();
            // IMPORTANT: As in `attach`.
            drop(entries);
            aborts.iter().for_each(AbortHandle::abort);
        }
    }

    /// Says whether every task was aborted, and is gone or about to be.
    pub(super) fn is_aborted(&self) -> bool {
        self.shards.iter().all(|shard| shard.0.lock().is_aborting)
    }

    /// Returns what is known of all tasks, the oldest first.
    pub(super) fn list(&self) -> Vec<About> {
        let mut tasks = Vec::with_capacity(self.alive());
        for shard in &self.shards {
            tasks.extend(shard.0.lock().tasks.iter().map(|(_, entry)| entry.about));
        }
        tasks.sort_by_key(|about| about.started);
        tasks
    }
}
