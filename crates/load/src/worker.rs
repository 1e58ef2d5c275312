//! One thread of the generator: follows the schedule, takes its share of the arrivals, and starts each when it is
//! due, whatever became of those before it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::alarm::Alarm;
use crate::pool::Routes;
use crate::runner::Runners;
use crate::state::Run;
use crate::{Arrival, Plan};

/// Most arrivals that are started before the answers of others are looked at.
const BATCH: usize = 128;

/// How long the thread rests at least between two looks at the schedule: arrivals that are closer together start
/// together, at most this late.
const REST: Duration = Duration::from_micros(200);

pub(crate) struct Worker {
    pub(crate) run: Arc<Run>,
    /// One for each connection that may be in use.
    pub(crate) permits: Semaphore,
    routes: Mutex<Arc<Routes>>,
    /// What starts arrivals.
    pub(crate) runners: Runners,
    in_flight: AtomicUsize,
    in_flight_max: usize,
    /// Is told when the last arrival in flight has left.
    empty: Notify,
}

/// Which arrivals are a worker's: those whose number divided by `of` leaves `index`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share {
    pub(crate) index: usize,
    pub(crate) of: usize,
}

impl Share {
    fn part(self, total: usize) -> usize {
        total / self.of + usize::from(self.index < total % self.of)
    }
}

impl Worker {
    pub(crate) fn new(run: Arc<Run>, plan: &Plan, share: Share) -> Arc<Self> {
        Arc::new(Self {
            permits: Semaphore::new(share.part(plan.connections_max).min(Semaphore::MAX_PERMITS)),
            routes: Mutex::new(Arc::new(Routes::new(&run.scenario, &run.targets))),
            runners: Runners::default(),
            in_flight: AtomicUsize::new(0),
            in_flight_max: share.part(plan.in_flight_max),
            empty: Notify::new(),
            run,
        })
    }

    /// Dispatches this worker's share of the plan, then waits for what is in flight, at most the plan's time to
    /// drain.
    pub(crate) async fn drive(
        self: Arc<Self>,
        plan: &Plan,
        share: Share,
        cancel: &CancellationToken,
    ) -> io::Result<()> {
        let alarm = Alarm::new()?;
        let mut due = (0_u64..).zip(plan.schedule()).skip(share.index).step_by(share.of);
        let mut next = due.next();
        let mut rested = Duration::ZERO;
        while let Some((_, intended)) = next {
            if cancel.is_cancelled() {
                self.run.stop();
                break;
            }
            let wait = intended.saturating_sub(self.run.elapsed());
            if wait.is_zero() {
                next = self.dispatch_due(next, &mut due);
                rested = self.run.elapsed() + REST;
                tokio::task::yield_now().await;
            } else {
                tokio::select! {
                    () = cancel.cancelled() => {}
                    rung = alarm.until(self.run.start + intended.max(rested)) => rung?,
                }
            }
        }
        let drained = async {
            while self.in_flight.load(Ordering::Acquire) > 0 {
                self.empty.notified().await;
            }
        };
        let deadline = tokio::time::sleep(plan.drain);
        tokio::pin!(drained, deadline);
        loop {
            tokio::select! {
                () = &mut drained => break,
                () = &mut deadline => break,
                () = cancel.cancelled(), if !self.run.is_stopping() => self.run.stop(),
            }
        }
        Ok(())
    }

    /// Starts the arrivals that are due, at most [`BATCH`]; returns the first that was not started.
    fn dispatch_due(
        self: &Arc<Self>,
        mut next: Option<(u64, Duration)>,
        due: &mut impl Iterator<Item = (u64, Duration)>,
    ) -> Option<(u64, Duration)> {
        let now = self.run.elapsed();
        for _ in 0..BATCH {
            let Some((sequence, intended)) = next.filter(|(_, intended)| *intended <= now) else { break };
            self.run.counters.scheduled();
            if self.in_flight.load(Ordering::Acquire) < self.in_flight_max {
                self.in_flight.fetch_add(1, Ordering::AcqRel);
                self.runners.start(self, sequence, intended);
            } else {
                self.run.tell(Arrival { sequence, intended, dispatched: None });
            }
            next = due.next();
        }
        next
    }

    /// Notes that an arrival has left.
    pub(crate) fn left(&self) {
        if self.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.empty.notify_one();
        }
    }

    /// Reports the arrivals that nobody has started. To be called at the end, when nothing runs any more.
    pub(crate) fn end(&self) {
        for (sequence, intended) in self.runners.unstarted() {
            self.run.tell(Arrival { sequence, intended, dispatched: None });
        }
    }

    /// Returns hosts and addresses as the targets stand now.
    pub(crate) fn routes(&self) -> Arc<Routes> {
        let mut routes = self.routes.lock();
        if routes.version != self.run.targets.version() {
            *routes = Arc::new(Routes::new(&self.run.scenario, &self.run.targets));
        }
        routes.clone()
    }
}
