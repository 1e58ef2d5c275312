//! A pool under supervision, as its callers see it.

use std::time::{Duration, Instant};

use steadfast_base::Seed;
use steadfast_guard::pool_health::{Pool, PoolHealth, PoolHealthPolicy, Probe, Snapshot};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

/// The longest that a caller waits for an answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// Supervises `pool` until the handle is dropped.
pub(crate) fn supervise<P: Pool + 'static>(
    pool: P,
    policy: PoolHealthPolicy,
) -> (Probe, AbortOnDropHandle<()>) {
    let health = PoolHealth::new("test", pool, policy, Seed::new(1));
    let probe = health.probe();
    (probe, AbortOnDropHandle::new(tokio::spawn(health.run())))
}

/// Waits for what a supervisor finds; says how long that took.
pub(crate) async fn found(probe: &Probe, is: impl Fn(&Snapshot) -> bool) -> Duration {
    let start = Instant::now();
    let looking = async {
        while !is(&probe.snapshot()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(30), looking).await.unwrap_or_else(|_| panic!("{:?}", probe.snapshot()));
    start.elapsed()
}

/// Asks so often as a caller; says how often no answer came in good time.
pub(crate) async fn failures(calls: usize, ask: impl AsyncFn() -> bool) -> usize {
    let mut failures = 0;
    for _ in 0..calls {
        failures += usize::from(!timeout(PATIENCE, ask()).await.unwrap_or(false));
    }
    failures
}
