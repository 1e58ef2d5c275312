//! The pool that callers hold.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::counts::Counts;
use super::pool::{Next, Pool};
use super::queue::Ticket;
use super::threads::{self, Threads};
use super::{Grant, Job, JobError, Memory, Refused, Snapshot, Submitted, WorkersPolicy, sampler};
use crate::probe::Observed;
use crate::scope::panic_message;
use crate::{PolicyError, Probe, Scope, ScopePolicy};

/// A pool under a memory quota. Clones share it; when the last clone is dropped, jobs that wait are told that they
/// were not started, and those that run go on.
///
/// # Examples
/// ```
/// use std::{sync::Arc, time::Duration};
/// use steadfast_base::units::Size;
/// use steadfast_guard::workers::{Job, Workers, WorkersPolicy, memory::ProcessMemory};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let policy = WorkersPolicy { quota: Size::from_mebibytes(512), ..WorkersPolicy::default() };
/// let workers = Workers::start("images", policy, Arc::new(ProcessMemory::new()));
/// let job = Job::new("thumbnail").needs(Size::from_mebibytes(8));
/// let size = workers.submit(job, |_| vec![1_u8; 8 << 20].len())?.await?;
/// assert_eq!(size, 8 << 20);
/// assert!(workers.drain(Duration::from_secs(5)).await.is_clean());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Workers {
    owner: Arc<Owner>,
}

/// What only clones of the pool hold, and jobs do not.
struct Owner {
    shared: Arc<Shared>,
    /// It owns the sampler.
    scope: Scope,
}

/// What jobs, threads and the sampler hold too.
pub(super) struct Shared {
    pub(super) name: Box<str>,
    pub(super) memory: Arc<dyn Memory>,
    pub(super) runtime: Handle,
    state: Mutex<State>,
    /// Tells the sampler that the next sample may be due earlier.
    pub(super) hurried: Notify,
    emptied: Notify,
    counts: Counts,
}

pub(super) struct State {
    pub(super) pool: Pool<Start>,
    pub(super) threads: Threads,
    is_held: bool,
}

/// How a job is started, or told why it is not.
pub(super) struct Start {
    on_thread: bool,
    cancelled: Arc<AtomicBool>,
    tell: Box<dyn FnOnce(Result<Grant, JobError>) + Send>,
}

impl Start {
    pub(super) fn run(self, granted: Result<Grant, JobError>) {
        (self.tell)(granted);
    }
}

/// What draining left.
#[must_use = "it names the jobs that were not started"]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// The names of jobs that waited and were not started; whoever awaits them was told.
    pub not_started: Vec<&'static str>,
    /// The names of jobs that still run.
    pub running: Vec<&'static str>,
}

impl Drained {
    /// Says whether every job was run to its end.
    pub fn is_clean(&self) -> bool {
        self.not_started.is_empty() && self.running.is_empty()
    }

    /// Returns itself as the error where a job was not run to its end.
    ///
    /// # Errors
    /// This, which names the jobs.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_clean() { Ok(()) } else { Err(self) }
    }
}

impl std::error::Error for Drained {}

impl fmt::Display for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return f.write_str("all jobs ended");
        }
        let (not_started, running) = (self.not_started.len(), self.running.len());
        write!(f, "{not_started} jobs were not started, {running} still run")?;
        if running > 0 {
            write!(f, ": {}", self.running.join(", "))?;
        }
        Ok(())
    }
}

impl Workers {
    /// Starts a pool that keeps to `policy` by what `memory` says; fields beyond their range are cut to it.
    ///
    /// # Panics
    /// Outside a tokio runtime, for the pool samples memory at an interval.
    pub fn start(name: impl Into<Box<str>>, policy: WorkersPolicy, memory: Arc<dyn Memory>) -> Self {
        let policy = policy.cut();
        let name = name.into();
        let state = State { pool: Pool::new(policy), threads: Threads::default(), is_held: false };
        let shared = Arc::new(Shared {
            name: name.clone(),
            memory,
            runtime: Handle::current(),
            state: Mutex::new(state),
            hurried: Notify::new(),
            emptied: Notify::new(),
            counts: Counts::default(),
        });
        shared.sample(false);
        let scope = Scope::new(name, ScopePolicy::default());
        let sampler = scope.spawn_until_closed("memory-sampler", sampler::run(Arc::clone(&shared)));
        drop(sampler.expect("a new scope has room"));
        let (workers, quota) = (&*shared.name, policy.quota);
        let pressure = shared.memory.pressure_source().name();
        tracing::info!(workers, %quota, pressure, concurrency_max = policy.concurrency_max, "workers started");
        Self { owner: Arc::new(Owner { shared, scope }) }
    }

    /// Returns the policy that holds.
    pub fn policy(&self) -> WorkersPolicy {
        self.owner.shared.lock().pool.policy()
    }

    /// Changes the policy while jobs wait and run. Jobs that run keep what they have reserved, and those that wait keep
    /// their places: a queue that is longer than it may be now takes nothing new until it is shorter, and a job that needs
    /// more than the new quota runs once nothing else does. What a larger quota has room for starts at once.
    ///
    /// # Errors
    /// [`PolicyError`] when a setting cannot be. The policy of before stays.
    ///
    /// # Examples
    /// ```
    /// use std::sync::Arc;
    /// use steadfast_base::units::Size;
    /// use steadfast_guard::workers::{Workers, WorkersPolicy, memory::ProcessMemory};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), steadfast_guard::PolicyError> {
    /// let workers = Workers::start("images", WorkersPolicy::default(), Arc::new(ProcessMemory::new()));
    /// workers.apply(WorkersPolicy { quota: Size::from_mebibytes(512), ..workers.policy() })?;
    /// assert_eq!(workers.snapshot().quota, 512 << 20);
    /// # Ok(())
    /// # }
    /// ```
    pub fn apply(&self, policy: WorkersPolicy) -> Result<(), PolicyError> {
        policy.check()?;
        let shared = &self.owner.shared;
        shared.lock().pool.set_policy(policy);
        // What is there is judged by the new quota before anything is let in by it.
        shared.sample(false);
        shared.dispatch();
        // It may be due earlier.
        shared.hurried.notify_one();
        Ok(())
    }

    /// Returns the name, which logs, metrics and threads show.
    pub fn name(&self) -> &str {
        &self.owner.shared.name
    }

    /// Takes a CPU-bound job, which runs on a thread of the pool once there is memory for it.
    ///
    /// # Errors
    /// [`Refused`], at once; `run` was dropped then.
    pub fn submit<T, F>(&self, job: Job, run: F) -> Result<Submitted<T>, Refused>
    where
        F: FnOnce(&Grant) -> T + Send + 'static,
        T: Send + 'static,
    {
        let shared = Arc::clone(&self.owner.shared);
        let (tell, result) = oneshot::channel();
        let finished = Arc::clone(&shared);
        let start = move |granted: Result<Grant, JobError>| {
            let result = granted.and_then(|grant| {
                let ended = catch_unwind(AssertUnwindSafe(|| run(&grant)));
                let result = finished.end(job.name, ended);
                finished.lock().threads.returns();
                drop(grant);
                result
            });
            let _ = tell.send(result);
        };
        let cancelled = Arc::new(AtomicBool::new(false));
        let start = Start { on_thread: true, cancelled: Arc::clone(&cancelled), tell: Box::new(start) };
        let ticket = shared.enqueue(job, start)?;
        let timer = job.deadline.map(|deadline| Box::pin(sleep_until(deadline.instant())));
        Ok(Submitted { shared, ticket, cancelled, result, timer })
    }

    /// Waits until there is memory for an async job, which then runs where it is and holds the grant meanwhile.
    ///
    /// # Errors
    /// [`JobError`]: refused, at once; its deadline passed; or the pool closed before there was room.
    ///
    /// # Cancel safety
    /// Dropping the future takes the job out of the queue, or gives back what was reserved.
    pub async fn admit(&self, job: Job) -> Result<Grant, JobError> {
        let shared = &self.owner.shared;
        let (tell, granted) = oneshot::channel();
        let start = Start {
            on_thread: false,
            cancelled: Arc::default(),
            // Nobody may wait any more; the grant that comes back is dropped then.
            tell: Box::new(move |granted| drop(tell.send(granted))),
        };
        let queued = Queued { shared, ticket: shared.enqueue(job, start)? };
        let granted = match job.deadline {
            None => granted.await,
            Some(deadline) => match timeout_at(deadline.instant(), granted).await {
                Ok(granted) => granted,
                Err(_) => {
                    shared.withdraw(queued.ticket, JobError::DeadlineExceeded);
                    return Err(JobError::DeadlineExceeded);
                }
            },
        };
        granted.unwrap_or(Err(JobError::NotStarted))
    }

    /// Takes no more jobs, and runs those that wait and those that run to their end for at most `within`. Then jobs
    /// that still wait are told that they were not started, and what is left is returned and logged.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the pool closed to new jobs, and those it has going on; it can be drained again.
    pub async fn drain(&self, within: Duration) -> Drained {
        let shared = &self.owner.shared;
        shared.lock().pool.close();
        if timeout(within, shared.emptied()).await.is_ok() {
            return Drained::default();
        }
        let (queue, running) = {
            let mut state = shared.lock();
            (state.pool.take_queue(), state.pool.running())
        };
        let not_started = queue.iter().map(|(job, _)| job.name).collect();
        shared.tell_not_started(queue);
        let drained = Drained { not_started, running };
        tracing::warn!(workers = self.name(), %drained, "workers did not drain in time");
        drained
    }

    /// Returns what the pool has done and what it is doing.
    pub fn snapshot(&self) -> Snapshot {
        self.owner.shared.snapshot()
    }

    /// Lets no thread be started from now on.
    #[cfg(test)]
    pub(super) fn run_out_of_threads(&self) {
        self.owner.shared.lock().threads.have_run_out = true;
    }

    /// Returns what shows the pool to metrics. It keeps no pool alive.
    pub fn probe(&self) -> Probe<Snapshot> {
        Probe::new(Arc::clone(&self.owner.shared) as _)
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("snapshot", &self.snapshot()).finish_non_exhaustive()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // The sampler alone, which has nothing to finish.
        self.scope.abort();
        let queue = {
            let mut state = self.shared.lock();
            state.pool.close();
            state.threads.close();
            state.pool.take_queue()
        };
        self.shared.tell_not_started(queue);
    }
}

/// A job in the queue whose caller may go away.
struct Queued<'a> {
    shared: &'a Arc<Shared>,
    ticket: Ticket,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.shared.withdraw(self.ticket, JobError::Cancelled);
    }
}

impl Observed<Snapshot> for Shared {
    fn name(&self) -> &str {
        &self.name
    }

    fn snapshot(&self) -> Snapshot {
        let counts = &self.counts;
        let mut snapshot = Snapshot {
            name: (*self.name).to_owned(),
            taken: counts.taken.get(),
            refused: counts.refused.get(),
            finished: counts.ended.get().saturating_sub(counts.panicked.get() + counts.no_thread.get()),
            panicked: counts.panicked.get(),
            expired: counts.expired.get(),
            cancelled: counts.cancelled.get(),
            not_started: counts.not_started.get() + counts.no_thread.get(),
            samples: counts.samples.get(),
            samples_failed: counts.samples_failed.get(),
            pressures: counts.pressures.get(),
            pressure_source: self.memory.pressure_source(),
            ..Snapshot::default()
        };
        self.lock().pool.describe(&mut snapshot);
        snapshot
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    fn enqueue(self: &Arc<Self>, job: Job, start: Start) -> Result<Ticket, Refused> {
        let enqueued = self.lock().pool.enqueue(job, start, Instant::now());
        match enqueued {
            Ok(ticket) => {
                self.counts.taken.add();
                self.dispatch();
                Ok(ticket)
            }
            Err((refused, start)) => {
                self.counts.refused.add();
                drop(start);
                Err(refused)
            }
        }
    }

    /// Takes a job out of the queue and tells it why, if it is still there.
    pub(super) fn withdraw(self: &Arc<Self>, ticket: Ticket, why: JobError) {
        let Some(start) = self.lock().pool.withdraw(ticket) else { return };
        match why {
            JobError::DeadlineExceeded => self.counts.expired.add(),
            _ => self.counts.cancelled.add(),
        };
        start.run(Err(why));
        // It may have been the one that nobody could pass.
        self.dispatch();
        self.tell_if_empty();
    }

    /// Starts every job that there is room for. No job is started or told anything under the lock.
    pub(super) fn dispatch(self: &Arc<Self>) {
        let now = Instant::now();
        if self.lock().pool.is_stale(now) {
            self.sample(false);
        }
        loop {
            let next = self.lock().pool.next(now);
            match next {
                None => break,
                Some(Next::Expired(start)) => {
                    self.counts.expired.add();
                    start.run(Err(JobError::DeadlineExceeded));
                    // It may have been the last.
                    self.tell_if_empty();
                }
                Some(Next::Start(admitted)) => {
                    let start = admitted.payload;
                    let grant = Grant {
                        shared: Arc::clone(self),
                        id: admitted.id,
                        name: admitted.job.name,
                        reserved: admitted.need,
                        deadline: admitted.job.deadline,
                        cancelled: Arc::clone(&start.cancelled),
                        peak_before: admitted.is_watched.then(|| self.memory.peak()).flatten(),
                        is_over: false,
                    };
                    self.hurried.notify_one();
                    self.start(start, grant);
                }
            }
        }
        self.tell_if_held();
    }

    fn start(self: &Arc<Self>, start: Start, grant: Grant) {
        if !start.on_thread {
            start.run(Ok(grant));
        } else if let Err((start, grant)) = threads::hand_over(self, start, grant) {
            self.counts.no_thread.add();
            grant.revoke();
            start.run(Err(JobError::NoThread));
            self.tell_if_empty();
        }
    }

    /// Counts how a job on a thread ended.
    fn end<T>(&self, job: &'static str, ended: std::thread::Result<T>) -> Result<T, JobError> {
        ended.map_err(|payload| {
            let message = panic_message(payload.as_ref());
            self.counts.panicked.add();
            tracing::error!(workers = &*self.name, job, message = %message, "a job panicked");
            JobError::Panicked { message }
        })
    }

    pub(super) fn finish(self: &Arc<Self>, id: u64, peak: Option<u64>) {
        self.lock().pool.finish(id, peak);
        self.counts.ended.add();
        self.dispatch();
        self.tell_if_empty();
    }

    /// Gives back what was reserved for a job that did not run. The next is for the caller to start.
    pub(super) fn revoke(&self, id: u64) {
        self.lock().pool.revoke(id);
        self.counts.ended.add();
    }

    fn tell_if_empty(&self) {
        if self.lock().pool.is_empty() {
            self.emptied.notify_waiters();
        }
    }

    fn tell_if_held(&self) {
        let mut state = self.lock();
        let is_held = state.pool.is_held();
        if is_held && !state.is_held {
            tracing::warn!(workers = &*self.name, "the cgroup has no room for the next job; it waits");
        }
        state.is_held = is_held;
    }

    fn tell_not_started(&self, queue: Vec<(Job, Start)>) {
        for (_, start) in queue {
            self.counts.not_started.add();
            start.run(Err(JobError::NotStarted));
        }
        self.tell_if_empty();
    }

    async fn emptied(&self) {
        loop {
            let mut emptied = std::pin::pin!(self.emptied.notified());
            // Listens before it looks.
            emptied.as_mut().enable();
            if self.lock().pool.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    pub(super) fn sample(&self, is_pressed: bool) {
        if is_pressed {
            self.counts.pressures.add();
        }
        self.counts.samples.add();
        match self.memory.sample() {
            Ok(sample) => self.lock().pool.observe(sample, Instant::now(), is_pressed),
            Err(error) => {
                if self.counts.samples_failed.add() == 0 {
                    tracing::error!(workers = &*self.name, %error, "memory cannot be sampled; what jobs declare is relied on");
                }
            }
        }
    }

    pub(super) fn sample_in(&self) -> Duration {
        self.lock().pool.sample_in(Instant::now())
    }
}
