use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{Request, Response};

use super::answer;
use crate::lease::Active;
use crate::{Failure, Fault, LeaseId, Verdict};

/// Calls that arrive so soon after a stall had waited for its end in their sockets.
const BACKLOG: Duration = Duration::from_millis(10);

/// What the leases do to one call.
#[derive(Default)]
pub(super) struct Effect {
    delay: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    failure: Option<(LeaseId, Failure)>,
    witnesses: Vec<Witness>,
}

impl Effect {
    /// Draws the verdicts of all active leases in the order of their injection: delays add up, and the first
    /// failure hides the call from the leases behind it. None when nothing is to be done.
    pub(super) fn of<B>(leases: &[Arc<Active>], request: &Request<B>) -> Option<Box<Self>> {
        let now = Instant::now();
        let mut delays = Vec::new();
        let mut effect = Self::default();
        for lease in leases.iter().filter(|lease| lease.is_live(now)) {
            let verdict = match &lease.fault {
                Fault::Http(fault) if fault.matches(request) => fault.verdict(lease.draw(lease.meter.seen())),
                Fault::Grpc(fault) if fault.matches(request) => fault.verdict(lease.draw(lease.meter.seen())),
                Fault::Runtime(_) => {
                    effect.witnesses.extend(Witness::of(lease, now));
                    Verdict::Pass
                }
                Fault::Http(_) | Fault::Grpc(_) => Verdict::Pass,
            };
            if verdict == Verdict::Pass {
                continue;
            }
            lease.meter.affected();
            if !verdict.delay().is_zero() {
                lease.meter.delayed(verdict.delay());
                delays.push((lease.clone(), verdict.delay()));
            }
            if let Some(failure) = verdict.failure() {
                lease.meter.failed();
                effect.failure = Some((lease.id.clone(), failure));
                break;
            }
        }
        if !delays.is_empty() {
            effect.delay = Some(Box::pin(async move {
                for (lease, delay) in delays {
                    lease.hold(delay).await;
                }
            }));
        }
        let does_something =
            effect.delay.is_some() || effect.failure.is_some() || !effect.witnesses.is_empty();
        does_something.then(|| Box::new(effect))
    }

    pub(super) fn fails(&self) -> bool {
        self.failure.is_some()
    }

    /// Completes when the call has been delayed as long as it should be.
    pub(super) fn poll_delay(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(delay) = &mut self.delay {
            std::task::ready!(delay.as_mut().poll(cx));
            self.delay = None;
        }
        Poll::Ready(())
    }

    /// Returns the answer of a call that fails.
    pub(super) fn answer<RB: Default>(&self) -> Response<RB> {
        let (id, failure) =
            self.failure.as_ref().expect("only the effect of a failing call is asked for its answer");
        answer::answer(id, *failure)
    }
}

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Effect")
            .field("delayed", &self.delay.is_some())
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

/// Sees whether the runtime was stalled while a call was in flight.
struct Witness {
    lease: Arc<Active>,
    stalls: u64,
}

impl Witness {
    /// Counts a call; returns none when it is known already that it waited for a stall.
    fn of(lease: &Arc<Active>, now: Instant) -> Option<Self> {
        lease.meter.seen();
        let (stalls, released) = lease.rendezvous.stalls();
        if released.is_some_and(|released| now.saturating_duration_since(released) < BACKLOG) {
            lease.meter.affected();
            return None;
        }
        Some(Self { lease: lease.clone(), stalls })
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        if self.lease.rendezvous.stalls().0 != self.stalls {
            self.lease.meter.affected();
        }
    }
}
