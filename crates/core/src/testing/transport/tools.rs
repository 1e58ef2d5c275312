use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use steadfast_base::Deadline;
use tokio::task::JoinSet;

use super::factory::{Mark, Opened};
use crate::transport::{Outcome, Received, Receiver, Settlement, Subscribe};

/// What a case found: nothing, or what is wrong.
pub type Checked = Result<(), String>;

/// How long a case may take before it counts as hung.
const CASE_MAX: Duration = Duration::from_secs(120);
/// How long a single step may take, with a server that is slow and a group that has to be formed.
pub(super) const STEP_MAX: Duration = Duration::from_secs(40);
/// How long nothing must come before it is taken that nothing will.
pub(super) const QUIET: Duration = Duration::from_millis(400);

thread_local! {
    /// The step that the case on this thread has begun last.
    static STEP: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs one case on a runtime of its own, for at most two minutes.
///
/// # Errors
/// What the case found, or that it hung, and in which step.
///
/// # Panics
/// The runtime cannot be built.
pub fn run(case: impl Future<Output = Checked>) -> Checked {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("the operating system grants threads");
    run_on(runtime, case)
}

pub(super) fn run_on(runtime: tokio::runtime::Runtime, case: impl Future<Output = Checked>) -> Checked {
    let outcome = runtime.block_on(async { tokio::time::timeout(CASE_MAX, case).await });
    runtime.shutdown_timeout(STEP_MAX);
    let step = STEP.take();
    outcome.unwrap_or_else(|_| Err(format!("hung for {CASE_MAX:?}, the last step that was begun is: {step}")))
}

/// Says on stderr that a case was not run.
pub(super) fn skip(why: &str) -> Checked {
    eprintln!("skipped: {why}");
    Ok(())
}

pub(super) fn check(holds: bool, problem: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(problem()) }
}

pub(super) fn check_eq<T: PartialEq + std::fmt::Debug>(what: &str, actual: &T, expected: &T) -> Checked {
    check(actual == expected, || format!("{what}: got {actual:?}, expected {expected:?}"))
}

/// Notes which step is begun.
pub(super) fn begun(step: &str) {
    STEP.set(step.to_owned());
}

/// Waits for one step, so that a transport that hangs is named by what it hangs in.
pub(super) async fn within<T>(what: &str, step: impl Future<Output = T>) -> Result<T, String> {
    begun(what);
    tokio::time::timeout(STEP_MAX, step).await.map_err(|_| format!("{what} did not end within {STEP_MAX:?}"))
}

pub(super) fn deadline() -> Deadline {
    Deadline::within(STEP_MAX)
}

/// Makes `count` marks of each of `keys` keys, one of each key in turn. Every case feeds its marks in this order.
pub(super) fn marks(keys: u32, count: u32) -> Vec<Mark> {
    marks_from(keys, 0, count)
}

pub(super) fn marks_from(keys: u32, from: u32, count: u32) -> Vec<Mark> {
    (from..from + count).flat_map(|number| (0..keys).map(move |key| Mark { key, number })).collect()
}

/// Feeds `marks` in pieces of `sizes` in turn while the case goes on; dropping it stops that.
pub(super) struct Feeding(JoinSet<Checked>);

impl Feeding {
    pub(super) fn start(opened: &Opened, marks: &[Mark], sizes: &'static [usize]) -> Self {
        let (feed, marks) = (Arc::clone(&opened.feed), marks.to_vec());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let (mut rest, mut sizes) = (&marks[..], sizes.iter().cycle());
            while let Some(size) = sizes.next().filter(|_| !rest.is_empty()) {
                let piece;
                (piece, rest) = rest.split_at(rest.len().min(*size));
                feed.feed(piece).await?;
                // So that it lasts while the case goes on.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Ok(())
        });
        Self(tasks)
    }

    /// Waits until all is fed.
    pub(super) async fn end(mut self) -> Checked {
        match within("feeding", self.0.join_next()).await? {
            Some(Ok(fed)) => fed.map_err(|error| format!("feeding failed: {error}")),
            other => Err(format!("feeding ended by {other:?}")),
        }
    }
}

/// Feeds `marks` at once, and waits until they are on their way.
pub(super) async fn feed(opened: &Opened, marks: &[Mark]) -> Checked {
    Feeding::start(opened, marks, &[usize::MAX]).end().await
}

pub(super) fn subscribe(group: &str, in_flight_max: usize) -> Subscribe {
    Subscribe { in_flight_max, ..Subscribe::new(group) }
}

pub(super) async fn open(opened: &Opened, subscribe: &Subscribe) -> Result<Arc<dyn Receiver>, String> {
    let receiver = within("open", opened.source.open(subscribe)).await?;
    Ok(Arc::from(receiver.map_err(|error| format!("open failed: {error}"))?))
}

/// Receives what comes within `patience`, perhaps nothing.
pub(super) async fn receive_for(
    receiver: &dyn Receiver,
    max: usize,
    patience: Duration,
) -> Result<Vec<Received>, String> {
    match tokio::time::timeout(patience, receiver.receive(max)).await {
        Ok(Ok(events)) => {
            check(events.len() <= max, || format!("asked for {max} events, received {}", events.len()))?;
            check(!events.is_empty(), || "a receiver ended that nobody closed".to_owned())?;
            Ok(events)
        }
        Ok(Err(error)) => Err(format!("receive failed: {error}")),
        Err(_) => Ok(Vec::new()),
    }
}

pub(super) async fn receive(receiver: &dyn Receiver, max: usize) -> Result<Vec<Received>, String> {
    let events = receive_for(receiver, max, STEP_MAX).await?;
    check(!events.is_empty(), || format!("nothing was received within {STEP_MAX:?}"))?;
    Ok(events)
}

pub(super) fn settlements<'a>(
    events: impl IntoIterator<Item = &'a Received>,
    outcome: Outcome,
) -> Vec<Settlement> {
    events.into_iter().map(|received| Settlement { token: received.token, outcome }).collect()
}

pub(super) async fn settle(receiver: &dyn Receiver, settlements: &[Settlement]) -> Checked {
    within("settle", receiver.settle(settlements)).await?.map_err(|error| format!("settle failed: {error}"))
}

pub(super) async fn close(receiver: &dyn Receiver) -> Checked {
    within("close", receiver.close(deadline())).await?.map_err(|error| format!("close failed: {error}"))
}
