use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use futures::TryStreamExt;
use parking_lot::Mutex;
use steadfast_base::{Deadline, Rng};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::handle::Status;
use super::life::Life;
use super::progress::Record;
use super::run::run;
use super::{Error, Handle, Policy, Port, ProcessManager};
use crate::machine::{Control, Illegal, Lifecycle};
use crate::store::{EventStore, Filter, Query};

/// Drives the processes of one kind; see the [module](crate::process).
///
/// It owns the tasks that it starts: dropping it drops them, [`close`](Self::close) lets them finish their step.
/// What they have not finished is resumed by the next driver on the same store. One driver at a time drives the
/// processes of a store; should there be two, the store's conditions keep the records right, and keys the effects.
pub struct Driver<P: ProcessManager, T: Port<P>> {
    shared: Arc<Shared<P, T>>,
}

pub(super) struct Shared<P: ProcessManager, T> {
    pub(super) manager: P,
    pub(super) port: T,
    pub(super) store: Arc<dyn EventStore>,
    pub(super) policy: Policy,
    pub(super) name: Arc<str>,
    pub(super) rng: Mutex<Rng>,
    /// Processes wait before their next attempt while it is paused, and end there once it has ended.
    pub(super) life: Life,
    /// Processes end at once.
    dropped: CancellationToken,
    tasks: TaskTracker,
    running: Mutex<HashMap<Arc<str>, watch::Receiver<Status<P>>>>,
}

impl<P: ProcessManager, T: Port<P>> Driver<P, T> {
    /// Creates a driver for `manager`, which does steps by `port` and records them in `store`.
    pub fn new(manager: P, port: T, store: Arc<dyn EventStore>, policy: Policy) -> Self {
        let name = Arc::from(manager.name());
        let rng = Mutex::new(policy.seed.rng());
        let (life, dropped) = (Life::new(), CancellationToken::new());
        let (tasks, running) = (TaskTracker::new(), Mutex::default());
        let shared = Shared { manager, port, store, policy, name, rng, life, dropped, tasks, running };
        Self { shared: Arc::new(shared) }
    }

    /// Starts the process `id` in the background and returns once its begin is recorded; from then on it ends,
    /// whatever crashes.
    ///
    /// If there is such a process already, it is joined if it runs, gone on with if it does not, and the handle has
    /// its end if it has ended; `input` is not looked at then. Whoever wants to try again after a compensation
    /// chooses another `id`.
    ///
    /// # Errors
    /// [`Error::Overloaded`], [`Error::Closed`]; [`Error::Store`] when the begin could not be recorded.
    ///
    /// # Panics
    /// Called outside a tokio runtime.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether the process has begun; starting it again joins it.
    pub async fn start(&self, id: impl Into<Arc<str>>, input: P::Input) -> Result<Handle<P>, Error> {
        let mut handle = self.spawn(id.into(), Some(input), self.shared.policy.running_max)?;
        handle.started().await?;
        Ok(handle)
    }

    /// Goes on in the background with all processes that the store holds unfinished, and returns how many they
    /// are. To be called once, before the first start.
    ///
    /// # Errors
    /// [`Error::Store`] when the store cannot be read; [`Error::Closed`].
    ///
    /// # Panics
    /// Called outside a tokio runtime.
    ///
    /// # Cancel safety
    /// Dropping the future leaves processes unfinished; resuming again goes on with them.
    pub async fn resume(&self) -> Result<usize, Error> {
        let kind = |last: &str| Arc::from(format!("{}.{last}", self.shared.name));
        let started: Arc<str> = kind(Record::<P>::STARTED);
        let ends = Record::<P>::ENDS.into_iter().map(kind);
        let filter = Filter { kinds: ends.chain([Arc::clone(&started)]).collect(), ..Filter::default() };
        let mut unfinished: BTreeSet<Arc<str>> = BTreeSet::new();
        let mut events = self.shared.store.read(Query { filter, ..Query::default() });
        while let Some(stored) = events.try_next().await? {
            let id = stored.stream.strip_prefix(&*self.shared.name).and_then(|id| id.strip_prefix('-'));
            match id {
                Some(id) if stored.event.kind() == &*started => drop(unfinished.insert(id.into())),
                Some(id) => drop(unfinished.remove(id)),
                None => {}
            }
        }
        drop(events);
        self.shared.life.begin();
        let count = unfinished.len();
        for id in unfinished {
            self.spawn(id, None, usize::MAX)?;
        }
        Ok(count)
    }

    /// Returns how many processes are running.
    pub fn running(&self) -> usize {
        self.shared.running.lock().len()
    }

    /// Returns where the driver stands in its life: it is initial until [`resume`](Self::resume) or
    /// [`start`](Self::start), and terminated once it is closed.
    pub fn lifecycle(&self) -> Lifecycle {
        self.shared.life.now()
    }

    /// Begins no further attempt until [`unpause`](Self::unpause), as while a service that is called is being mended:
    /// attempts under way end, processes can be started and wait.
    ///
    /// # Errors
    /// The driver has not begun, is paused, or is closed.
    pub fn pause(&self) -> Result<(), Illegal<Lifecycle>> {
        self.shared.life.control(Control::Pause)
    }

    /// Goes on with all processes that wait.
    ///
    /// # Errors
    /// The driver is not paused.
    pub fn unpause(&self) -> Result<(), Illegal<Lifecycle>> {
        self.shared.life.control(Control::Resume)
    }

    /// Starts nothing more, lets running processes finish the attempt under way until `deadline`, then drops them.
    /// Returns how many are left to be resumed.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the driver closed; attempts under way go on until it is dropped.
    pub async fn close(&self, deadline: Deadline) -> usize {
        let unfinished = {
            // Under the lock, so that nothing starts after the tracker is closed.
            let running = self.shared.running.lock();
            self.shared.life.end();
            self.shared.tasks.close();
            running.values().cloned().collect::<Vec<_>>()
        };
        let _ = tokio::time::timeout_at(deadline.instant(), self.shared.tasks.wait()).await;
        self.shared.dropped.cancel();
        self.shared.tasks.wait().await;
        unfinished.iter().filter(|status| !matches!(*status.borrow(), Status::Ended(_))).count()
    }

    fn spawn(&self, id: Arc<str>, input: Option<P::Input>, running_max: usize) -> Result<Handle<P>, Error> {
        let mut running = self.shared.running.lock();
        if self.shared.life.has_ended() {
            return Err(Error::Closed);
        }
        self.shared.life.begin();
        if let Some(status) = running.get(&id) {
            return Ok(Handle::new(id, status.clone()));
        }
        if running.len() >= running_max {
            return Err(Error::Overloaded);
        }
        let (sender, status) = watch::channel(Status::Starting);
        running.insert(Arc::clone(&id), status.clone());
        let guard = Running { shared: Arc::clone(&self.shared), id: Arc::clone(&id) };
        let task = self.shared.tasks.track_future(
            async move {
                let Running { shared, id } = &guard;
                let dropped = shared.dropped.clone();
                tokio::select! {
                    biased;
                    () = dropped.cancelled() => {}
                    () = run(shared, id, input, sender) => {}
                }
            }
            .in_current_span(),
        );
        // Not under the lock: a runtime that is shutting down drops the task at once, and the guard takes the lock.
        drop(running);
        tokio::spawn(task);
        Ok(Handle::new(id, status))
    }
}

/// Keeps a process in the list of those running.
struct Running<P: ProcessManager, T> {
    shared: Arc<Shared<P, T>>,
    id: Arc<str>,
}

impl<P: ProcessManager, T> Drop for Running<P, T> {
    fn drop(&mut self) {
        self.shared.running.lock().remove(&self.id);
    }
}

impl<P: ProcessManager, T: Port<P>> Drop for Driver<P, T> {
    fn drop(&mut self) {
        self.shared.life.end();
        self.shared.dropped.cancel();
    }
}

impl<P: ProcessManager, T: Port<P>> std::fmt::Debug for Driver<P, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver")
            .field("name", &self.shared.name)
            .field("lifecycle", &self.lifecycle())
            .field("running", &self.running())
            .finish_non_exhaustive()
    }
}
