//! Starting and joining the generator's threads.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::state::Run;
use crate::worker::{Share, Worker};
use crate::{Error, Plan, Recorder, Summary, Targets, compile};

/// How long before the first arrival the threads are started.
const LEAD: Duration = Duration::from_millis(5);

/// The rate up to which one thread is enough, per second: half of what one reaches. Measured against a server on the
/// same two cores, one thread got 67 000, two 100 000, and one runtime with two workers a tenth less.
const RATE_PER_THREAD: f64 = 30_000.0;

/// Drives the load of `plan` and returns when it is over and all that was in flight has ended or was abandoned.
///
/// The generator brings threads of its own, each with an event loop, so that neither the caller's work disturbs the
/// load nor the load the caller; they are joined before this returns. `cancel` ends the arrivals at once; what is in
/// flight may still end within the plan's time to drain, without further steps and repetitions.
///
/// # Errors
/// What is wrong with the plan, see [`Plan::check`]; [`Error::Thread`] where a thread could not be started.
///
/// # Cancel safety
/// Dropped before its end, it stops the generator at once, reports what was in flight as
/// [`Abandoned`](crate::CommandResult::Abandoned), and joins the threads, which takes some milliseconds.
///
/// # Examples
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::{sync::Arc, time::Duration};
/// use steadfast_base::units::Rate;
/// use steadfast_load::{CancellationToken, Plan, Tally, Targets, run};
///
/// let plan = Plan::single("http://127.0.0.1:8080/", Rate::per_second_of(500), Duration::from_secs(10))?;
/// let tally = Arc::new(Tally::new(&plan));
/// let summary = run(plan, Targets::new(), tally.clone(), CancellationToken::new()).await?;
/// assert!(summary.is_valid());
/// println!("p99 {:?}", tally.step(0).percentile(99.0));
/// # Ok(())
/// # }
/// ```
pub async fn run(
    plan: Plan,
    targets: Targets,
    recorder: Arc<dyn Recorder>,
    cancel: CancellationToken,
) -> Result<Summary, Error> {
    let mut threads = Threads::start(plan, targets, recorder, &cancel)?;
    for ended in &mut threads.ended {
        // The sender is never used: it is dropped at the thread's end.
        let _ = ended.await;
    }
    threads.join()
}

/// Does the same as [`run`] and blocks the calling thread meanwhile; no runtime is needed.
///
/// # Errors
/// As for [`run`].
pub fn run_blocking(
    plan: Plan,
    targets: Targets,
    recorder: Arc<dyn Recorder>,
    cancel: &CancellationToken,
) -> Result<Summary, Error> {
    Threads::start(plan, targets, recorder, cancel)?.join()
}

/// The running threads; dropping it ends and joins them.
struct Threads {
    run: Arc<Run>,
    handles: Vec<JoinHandle<std::io::Result<()>>>,
    /// Each ends with its thread.
    ended: Vec<oneshot::Receiver<()>>,
    abort: CancellationToken,
}

impl Threads {
    fn start(
        plan: Plan,
        targets: Targets,
        recorder: Arc<dyn Recorder>,
        cancel: &CancellationToken,
    ) -> Result<Self, Error> {
        let scenario = compile::compile(&plan, &targets)?;
        let start = Instant::now() + LEAD;
        recorder.started(start);
        let run = Arc::new(Run::new(scenario, &plan, targets, recorder, start));
        let of = threads(&plan);
        let plan = Arc::new(plan);
        let mut threads =
            Self { run, handles: Vec::new(), ended: Vec::new(), abort: CancellationToken::new() };
        for index in 0..of {
            let share = Share { index, of };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(Error::Thread)?;
            let (ending, ended) = oneshot::channel::<()>();
            let (run, plan) = (threads.run.clone(), plan.clone());
            let (cancel, abort) = (cancel.clone(), threads.abort.clone());
            let body = move || {
                let _ending = ending;
                let worker = Worker::new(run, &plan, share);
                let driven = abort.run_until_cancelled(worker.clone().drive(&plan, share, &cancel));
                let driven = runtime.block_on(driven);
                // Dropping the runtime drops what is still in flight, which thereby reports itself abandoned.
                drop(runtime);
                worker.end();
                driven.unwrap_or(Ok(()))
            };
            let builder = std::thread::Builder::new().name(format!("load-{index}"));
            threads.handles.push(builder.spawn(body).map_err(Error::Thread)?);
            threads.ended.push(ended);
        }
        Ok(threads)
    }

    fn join(mut self) -> Result<Summary, Error> {
        let mut result = Ok(());
        for handle in self.handles.drain(..) {
            let ended = handle.join().map_err(|_| Error::Panicked).and_then(|r| r.map_err(Error::Thread));
            if ended.is_err() {
                // Half a load is none: the other threads need not go on.
                self.abort.cancel();
            }
            result = result.and(ended);
        }
        result.map(|()| self.run.summary())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.abort.cancel();
        for handle in self.handles.drain(..) {
            // A panic was shown on stderr already, and there is nobody to tell.
            let _ = handle.join();
        }
    }
}

fn threads(plan: &Plan) -> usize {
    let rate_max = plan.arrivals.iter().map(|stage| stage.rate.per_second()).fold(0.0, f64::max);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let wanted = plan.threads.unwrap_or_else(|| cores.min((rate_max / RATE_PER_THREAD).ceil() as usize));
    wanted.clamp(1, plan.connections_max.min(plan.in_flight_max))
}
