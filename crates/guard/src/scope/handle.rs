//! The scope that callers hold.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use steadfast_base::Deadline;
use steadfast_base::units::format_duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::closed::Listed;
use super::leaks::Inspector;
use super::polls::SlowPoll;
use super::supervised::{End, Registration, Supervised};
use super::table::{About, Table};
use super::{Closed, Leaks, Refused, ScopePolicy, Snapshot, Task, TaskInfo};
use crate::pause::pause;
use crate::probe::Observed;
use crate::{PolicyError, Probe};

/// The owner of background tasks. Clones share them; when the last clone is dropped they are aborted.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_base::Deadline;
/// use steadfast_guard::scope::{Scope, ScopePolicy};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let scope = Scope::new("orders", ScopePolicy::default());
/// let answer = scope.spawn("answer", Deadline::within(Duration::from_secs(1)), async { 42 })?;
/// assert_eq!(answer.await?, 42);
///
/// let token = scope.token();
/// drop(scope.spawn_until_closed("relay", async move { token.cancelled().await })?);
/// assert!(scope.close(Duration::from_secs(5)).await.is_clean());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Scope {
    owner: Arc<Owner>,
}

/// What only clones of the scope hold, and tasks do not.
struct Owner {
    shared: Arc<Shared>,
    inspection: AbortHandle,
}

/// What tasks hold too.
pub(super) struct Shared {
    name: Box<str>,
    policy: watch::Sender<ScopePolicy>,
    /// What the policy says of it, for every poll to see.
    pub(super) slow_poll: SlowPoll,
    token: CancellationToken,
    pub(super) table: Table,
    ends: [AtomicU64; 4],
    panics: Mutex<BTreeMap<&'static str, u64>>,
    leaks: Mutex<Leaks>,
}

impl Scope {
    /// Creates an empty scope; fields of `policy` beyond their range are cut to it.
    ///
    /// # Panics
    /// Outside a tokio runtime, for the scope looks for leaks at an interval.
    pub fn new(name: impl Into<Box<str>>, policy: ScopePolicy) -> Self {
        Self::stopped_by(&CancellationToken::new(), name, policy)
    }

    /// Creates an empty scope whose [token](Self::token) is cancelled with `parent`, such as that of the program's
    /// shutdown. The scope is still to be closed.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn stopped_by(parent: &CancellationToken, name: impl Into<Box<str>>, policy: ScopePolicy) -> Self {
        let policy = policy.cut();
        let shared = Arc::new(Shared {
            name: name.into(),
            policy: watch::Sender::new(policy),
            slow_poll: SlowPoll::new(policy.slow_poll),
            token: parent.child_token(),
            table: Table::new(policy.tasks_max),
            ends: Default::default(),
            panics: Mutex::default(),
            leaks: Mutex::default(),
        });
        let inspection = tokio::spawn(inspect(Arc::clone(&shared))).abort_handle();
        Self { owner: Arc::new(Owner { shared, inspection }) }
    }

    /// Returns the policy that holds.
    pub fn policy(&self) -> ScopePolicy {
        *self.owner.shared.policy.borrow()
    }

    /// Changes the policy while tasks run. None is ended by that: a scope that has more than it may have now takes
    /// nothing new until it has fewer. What was found so far stays; growth is judged anew where the interval is another.
    ///
    /// # Errors
    /// [`PolicyError`] when a setting is out of its range. The policy of before stays.
    ///
    /// # Examples
    /// ```
    /// use steadfast_guard::{PolicyError, Scope, ScopePolicy};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), PolicyError> {
    /// let scope = Scope::new("orders", ScopePolicy::default());
    /// scope.apply(ScopePolicy { tasks_max: 100, ..scope.policy() })?;
    ///
    /// let none = ScopePolicy { tasks_max: 0, ..scope.policy() };
    /// let refused = scope.apply(none).unwrap_err();
    /// assert_eq!(refused.to_string(), "tasksMax: 0 is too little; write 1 or more");
    /// # Ok(())
    /// # }
    /// ```
    pub fn apply(&self, policy: ScopePolicy) -> Result<(), PolicyError> {
        policy.check()?;
        let policy = policy.cut();
        // Under the lock of the policy, so that of two who change it at the same time both bounds are those of one.
        self.owner.shared.policy.send_modify(|current| {
            *current = policy;
            self.owner.shared.table.set_tasks_max(policy.tasks_max);
            self.owner.shared.slow_poll.set(policy.slow_poll);
        });
        Ok(())
    }

    /// Returns the name, which logs and metrics show.
    pub fn name(&self) -> &str {
        &self.owner.shared.name
    }

    /// Returns the token that is cancelled when the scope begins to close. A task that has something to finish
    /// watches it; one that does not is aborted when closing takes too long.
    pub fn token(&self) -> CancellationToken {
        self.owner.shared.token.clone()
    }

    /// Starts a task that has until `deadline`; then it is dropped. `name` is shown in logs and reports, so it is to
    /// be the same for all that do the same.
    ///
    /// # Errors
    /// [`Refused`] when the scope is full or closed; `task` was dropped then.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[track_caller]
    pub fn spawn<F>(
        &self,
        name: &'static str,
        deadline: Deadline,
        task: F,
    ) -> Result<Task<F::Output>, Refused>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        // A task that never lacks work uses up the budget that the runtime gives it, and none would be left for the timer.
        let limit = tokio::task::unconstrained(tokio::time::sleep_until(deadline.instant()));
        self.start(name, Location::caller(), Some(deadline), task, limit)
    }

    /// Starts a task that lives as long as the scope: a loop, a relay, a connection. It has no deadline until the
    /// scope is closed.
    ///
    /// # Errors
    /// [`Refused`] when the scope is full or closed; `task` was dropped then.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[track_caller]
    pub fn spawn_until_closed<F>(&self, name: &'static str, task: F) -> Result<Task<F::Output>, Refused>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.start(name, Location::caller(), None, task, std::future::pending())
    }

    fn start<F, L>(
        &self,
        name: &'static str,
        spawned_at: &'static Location<'static>,
        deadline: Option<Deadline>,
        task: F,
        limit: L,
    ) -> Result<Task<F::Output>, Refused>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
        L: Future<Output = ()> + Send + 'static,
    {
        let shared = &self.owner.shared;
        let about = About { name, spawned_at, started: Instant::now(), deadline };
        let (key, times) = shared.table.enter(about)?;
        let registration = Registration::new(Arc::clone(shared), key, about, times);
        let handle = tokio::spawn(Supervised::new(task, limit, registration));
        shared.table.attach(key, handle.abort_handle());
        Ok(Task::new(handle))
    }

    /// Closes the scope: refuses new tasks, cancels the [token](Self::token), waits `within` for all tasks to end,
    /// aborts those that are left, and waits [`abort_within`](ScopePolicy::abort_within) for them. What it had to
    /// abort, and what did not stop even then, is returned and logged, by name and by the place that spawned it.
    ///
    /// A task of the scope that calls it waits for itself.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the scope closed and its tasks running; it can be closed again.
    pub async fn close(&self, within: Duration) -> Closed {
        let shared = &self.owner.shared;
        shared.table.close();
        shared.token.cancel();
        let mut closed = Closed::default();
        if timeout(within, shared.table.emptied()).await.is_ok() {
            return closed;
        }
        closed.aborted = self.tasks();
        shared.table.abort();
        let (scope, aborted) = (self.name(), closed.aborted.len());
        let abort_within = shared.policy.borrow().abort_within;
        if timeout(abort_within, shared.table.emptied()).await.is_ok() {
            tracing::warn!(scope, aborted, tasks = %Listed(&closed.aborted), "aborted tasks that did not end");
        } else {
            closed.stuck = self.tasks();
            let stuck = closed.stuck.len();
            tracing::error!(
                scope,
                aborted,
                stuck,
                tasks = %Listed(&closed.stuck),
                "tasks do not stop; they block a thread"
            );
        }
        closed
    }

    /// Returns the tasks that are alive, the oldest first.
    pub fn tasks(&self) -> Vec<TaskInfo> {
        self.owner.shared.tasks()
    }

    /// Returns what the last inspection found.
    pub fn leaks(&self) -> Leaks {
        self.owner.shared.leaks.lock().clone()
    }

    /// Returns what the scope has done and what is alive in it.
    pub fn snapshot(&self) -> Snapshot {
        self.owner.shared.snapshot()
    }

    /// Returns what shows the scope to metrics. It owns no task: the scope can be dropped although there is a probe.
    pub fn probe(&self) -> Probe<Snapshot> {
        Probe::new(Arc::clone(&self.owner.shared) as _)
    }

    /// Returns what shows the tasks of the scope that are alive, the oldest first. It owns none, as
    /// [`probe`](Self::probe).
    pub fn probe_tasks(&self) -> Probe<Vec<TaskInfo>> {
        Probe::new(Arc::clone(&self.owner.shared) as _)
    }

    /// Closes the scope and aborts its tasks at once and without a word.
    pub(crate) fn abort(&self) {
        let shared = &self.owner.shared;
        shared.table.close();
        shared.token.cancel();
        shared.table.abort();
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("name", &self.name())
            .field("alive", &self.owner.shared.table.alive())
            .finish_non_exhaustive()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let shared = &self.shared;
        shared.table.close();
        shared.token.cancel();
        self.inspection.abort();
        let alive = shared.table.alive();
        if alive > 0 && !shared.table.is_aborted() {
            tracing::warn!(
                scope = &*shared.name,
                alive,
                "a scope was dropped before it was closed; its tasks are aborted"
            );
            shared.table.abort();
        }
    }
}

impl Observed<Snapshot> for Shared {
    fn name(&self) -> &str {
        &self.name
    }

    fn snapshot(&self) -> Snapshot {
        let ended = |end: End| self.ends[end as usize].load(Ordering::Relaxed);
        let leaks = self.leaks.lock();
        Snapshot {
            name: (*self.name).to_owned(),
            alive: self.table.alive() as u64,
            spawned: self.table.entered(),
            refused: self.table.refused(),
            finished: ended(End::Finished),
            panicked: ended(End::Panicked),
            expired: ended(End::Expired),
            cancelled: ended(End::Cancelled),
            panics: self.panics.lock().clone(),
            old: leaks.old.iter().map(|old| old.tasks as u64).sum(),
            growing: leaks.growing.iter().map(|growing| growing.to as u64).sum(),
            polls: self.table.poll_times(),
        }
    }
}

impl Observed<Vec<TaskInfo>> for Shared {
    fn name(&self) -> &str {
        &self.name
    }

    fn snapshot(&self) -> Vec<TaskInfo> {
        self.tasks()
    }
}

impl Shared {
    fn tasks(&self) -> Vec<TaskInfo> {
        let now = Instant::now();
        self.table.list().iter().map(|about| about.info(now)).collect()
    }

    pub(super) fn count(&self, end: End) {
        self.ends[end as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn report_panic(&self, about: &About, message: &str) {
        *self.panics.lock().entry(about.name).or_default() += 1;
        let (scope, task, spawned_at) = (&*self.name, about.name, about.spawned_at);
        tracing::error!(scope, task, %spawned_at, message, "a task panicked");
    }

    pub(super) fn report_blocking(&self, about: &About, took: Duration, polls: u64) {
        let (scope, task, spawned_at) = (&*self.name, about.name, about.spawned_at);
        let took = format_duration(took);
        tracing::warn!(scope, task, %spawned_at, took, polls, "a task blocks its thread");
    }
}

/// Looks for leaks until the scope is closed or dropped.
async fn inspect(shared: Arc<Shared>) {
    let mut inspector = Inspector::new(*shared.policy.borrow());
    let mut said = Said::default();
    let every = |policy: &ScopePolicy| policy.inspect_every;
    while shared.token.run_until_cancelled(pause(&shared.policy, every)).await.is_some() {
        inspector.set_policy(*shared.policy.borrow());
        let leaks = inspector.inspect(Instant::now(), &shared.table.list());
        said.warn(&shared.name, &leaks);
        *shared.leaks.lock() = leaks;
    }
}

/// What was warned of, so that the same is said again only when it has doubled.
#[derive(Debug, Default)]
struct Said {
    old: BTreeMap<(&'static str, &'static Location<'static>), usize>,
    growing: BTreeMap<(&'static str, &'static Location<'static>), usize>,
}

impl Said {
    fn warn(&mut self, scope: &str, leaks: &Leaks) {
        for old in &leaks.old {
            let said = self.old.entry((old.name, old.spawned_at)).or_default();
            if old.tasks >= *said * 2 {
                *said = old.tasks;
                tracing::warn!(scope, tasks = %old, "tasks are far older than they should be");
            }
        }
        for growing in &leaks.growing {
            let said = self.growing.entry((growing.name, growing.spawned_at)).or_default();
            if growing.to >= *said * 2 {
                *said = growing.to;
                tracing::warn!(scope, tasks = %growing, "there are more and more tasks");
            }
        }
    }
}
