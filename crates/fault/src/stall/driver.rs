use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::RuntimeFault;
use crate::lease::Active;

/// How long tasks are given to reach a worker each before more are sent.
const PATIENCE: Duration = Duration::from_millis(2);

/// Stalls the runtime again and again while the lease is held; blocks the calling thread meanwhile.
pub(crate) fn drive(runtime: &Handle, lease: &Arc<Active>, fault: &RuntimeFault) {
    let (stall, every) = (fault.stall.0, fault.every.0);
    let mut next = Instant::now();
    while lease.is_live(Instant::now()) {
        once(runtime, lease, stall);
        // A stall that came late is followed by the next one in time: what was missed is not made up for.
        let now = Instant::now();
        while next <= now {
            next += every;
        }
        while Instant::now() < next && lease.is_live(Instant::now()) {
            let until = next.min(lease.deadline());
            lease.rendezvous.pause(until, || !lease.is_live(Instant::now()) || Instant::now() >= next);
        }
    }
}

/// Stalls the runtime once.
fn once(runtime: &Handle, lease: &Arc<Active>, stall: Duration) {
    let workers = runtime.metrics().num_workers();
    let round = lease.rendezvous.begin(workers);
    let given_up = Instant::now() + stall;
    let mut missing = workers;
    while missing > 0 && Instant::now() < given_up && lease.is_live(Instant::now()) {
        // A worker may take several of these tasks to its own queue and be held by the first, while the others
        // are too busy to steal the rest. More tasks reach those by the queue that all of them look at.
        for _ in 0..missing {
            let lease = lease.clone();
            runtime.spawn(async move { lease.rendezvous.hold(round, stall, || lease.deadline()) });
        }
        missing = lease.rendezvous.gather(round, Instant::now() + PATIENCE);
    }
    lease.rendezvous.finish(round);
}
