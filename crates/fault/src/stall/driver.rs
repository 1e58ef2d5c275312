use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;

use crate::RuntimeFault;
use crate::lease::Active;

/// Stalls the runtime again and again while the lease is held; blocks the calling thread meanwhile.
pub(crate) fn drive(runtime: &Handle, lease: &Arc<Active>, fault: &RuntimeFault) {
    let (stall, every) = (fault.stall.0, fault.every.0);
    let mut next = Instant::now();
    while lease.is_live(Instant::now()) {
        let workers = runtime.metrics().num_workers();
        let round = lease.rendezvous.begin(workers);
        for _ in 0..workers {
            let lease = lease.clone();
            runtime.spawn(async move { lease.rendezvous.hold(round, stall, || lease.deadline()) });
        }
        lease.rendezvous.finish(round, (Instant::now() + stall).min(lease.deadline()));
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
