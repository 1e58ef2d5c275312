//! How the runtime is, looked at for a while.
//!
//! What tokio tells in a stable interface are sums: how long each worker was busy, how often it parked. Poll times are
//! none of them. What a stall does to others is measured here: how long a task that can run waits until it is polled.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::{Handle, RuntimeMetrics};
use tokio::time::{Instant, sleep_until};

use super::allocations::{Allocated, counted};

/// How often a task is woken to see how long it waits.
const PROBE_EVERY: Duration = Duration::from_millis(5);

/// Sums of one moment.
struct Sums {
    at: Instant,
    busy: Vec<Duration>,
    parks: u64,
    allocated: Option<Allocated>,
}

impl Sums {
    fn of(metrics: &RuntimeMetrics) -> Self {
        let workers = 0..metrics.num_workers();
        Self {
            at: Instant::now(),
            busy: workers.clone().map(|worker| metrics.worker_total_busy_duration(worker)).collect(),
            parks: workers.map(|worker| metrics.worker_park_count(worker)).sum(),
            allocated: counted(),
        }
    }
}

/// Looks at the runtime of the caller for `window`, and says what it saw.
pub(super) async fn observe(window: Duration) -> Value {
    let metrics = Handle::current().metrics();
    let before = Sums::of(&metrics);
    let mut waits = Waits::default();
    let mut longest_queue = 0;
    let end = before.at + window;
    let mut due = before.at;
    while due < end {
        due += PROBE_EVERY;
        sleep_until(due).await;
        let ready = Instant::now();
        // A new task goes through the queues as any other does.
        let polled = tokio::spawn(async { Instant::now() }).await.unwrap_or(ready);
        waits.add(polled.saturating_duration_since(due), polled.saturating_duration_since(ready));
        longest_queue = longest_queue.max(metrics.global_queue_depth());
        // What was missed since the runtime stalled is not made up for.
        due = due.max(Instant::now() - PROBE_EVERY);
    }
    let after = Sums::of(&metrics);
    let took = after.at.saturating_duration_since(before.at);
    let share = |busy: Duration| (busy.as_secs_f64() / took.as_secs_f64()).min(1.0);
    let busy: Vec<f64> = after
        .busy
        .iter()
        .zip(&before.busy)
        .map(|(after, before)| share(after.saturating_sub(*before)))
        .collect();
    let per_second = |sum: u64| (sum as f64 / took.as_secs_f64()).round();
    json!({
        "windowMs": took.as_millis() as u64,
        "workers": metrics.num_workers(),
        "workerBusyShares": busy,
        "workerParksPerSecond": per_second(after.parks - before.parks),
        "tasksAlive": metrics.num_alive_tasks(),
        "globalQueueLongest": longest_queue,
        "wakeToPollMicros": waits.show(|wait| wait.1),
        "timerToPollMicros": waits.show(|wait| wait.0),
        "allocations": match (before.allocated, after.allocated) {
            (Some(before), Some(after)) => json!({
                "perSecond": per_second(after.allocations - before.allocations),
                "bytesPerSecond": per_second(after.bytes - before.bytes),
            }),
            _ => Value::Null,
        },
    })
}

/// How long tasks waited: from when their timer was due, and from when they could run.
#[derive(Default)]
struct Waits(Vec<(Duration, Duration)>);

impl Waits {
    fn add(&mut self, since_due: Duration, since_ready: Duration) {
        self.0.push((since_due, since_ready));
    }

    fn show(&self, which: impl Fn(&(Duration, Duration)) -> Duration) -> Value {
        let mut waits: Vec<u64> = self.0.iter().map(|wait| which(wait).as_micros() as u64).collect();
        waits.sort_unstable();
        let at = |share: f64| {
            let rank = (waits.len() as f64 * share).ceil() as usize;
            waits.get(rank.max(1) - 1).copied()
        };
        json!({"samples": waits.len(), "p50": at(0.5), "p99": at(0.99), "max": waits.last()})
    }
}
