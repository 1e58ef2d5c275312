use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use steadfast_base::Seed;
use tokio::sync::Notify;

use super::{Dose, Lease, LeaseId, LeaseState, Meter};
use crate::stall::Rendezvous;
use crate::{Draw, Fault};

/// A lease while it may be held: shared by the registry, the calls it affects and the workers it stalls.
///
/// Whether it is held is one number, the deadline, which each of them compares with the clock by itself. So a
/// lease ends even when no thread is left to end it.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) id: LeaseId,
    pub(crate) fault: Fault,
    pub(crate) meter: Meter,
    pub(crate) rendezvous: Rendezvous,
    seed: u64,
    started: Instant,
    /// Nanoseconds after `started`; 0 once the lease was ended.
    deadline: AtomicU64,
    /// Rung when the deadline moves, for the calls that are being delayed.
    changed: Notify,
}

impl Active {
    pub(crate) fn new(id: LeaseId, fault: Fault, seed: Seed, now: Instant, ttl: Duration) -> Self {
        Self {
            id,
            fault,
            meter: Meter::default(),
            rendezvous: Rendezvous::default(),
            seed: seed.value(),
            started: now,
            deadline: AtomicU64::new(nanos(ttl)),
            changed: Notify::new(),
        }
    }

    /// Returns the instant at which the lease ends unless it is renewed.
    pub(crate) fn deadline(&self) -> Instant {
        self.started + Duration::from_nanos(self.deadline.load(Ordering::Acquire))
    }

    pub(crate) fn is_live(&self, now: Instant) -> bool {
        now < self.deadline()
    }

    /// Moves the deadline; only the registry calls it, under its lock.
    pub(super) fn renew(&self, now: Instant, ttl: Duration) {
        let deadline = now.saturating_duration_since(self.started).saturating_add(ttl);
        self.deadline.store(nanos(deadline), Ordering::Release);
        self.wake();
    }

    /// Ends the lease now: delayed calls go on and stalled workers are released.
    pub(super) fn end(&self) {
        self.deadline.store(0, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        self.changed.notify_waiters();
        self.rendezvous.wake();
    }

    /// Returns the randomness of the call with this number.
    pub(crate) fn draw(&self, call: u64) -> Draw {
        Draw::new(self.seed, call)
    }

    /// Waits for `delay` or until the lease ends, whichever comes first.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped.
    pub(crate) async fn hold(&self, delay: Duration) {
        let sleep = tokio::time::sleep(delay);
        tokio::pin!(sleep);
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Listen before looking, or a change between the two would be missed.
            changed.as_mut().enable();
            let left = self.deadline().saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = &mut sleep => return,
                () = &mut changed => {}
                () = tokio::time::sleep(left) => {}
            }
        }
    }

    /// Returns what is reported of the lease in `state`, which it took at `at`.
    pub(super) fn report(&self, state: LeaseState, at: Instant) -> Lease {
        let expires_in = match state {
            LeaseState::Active => self.deadline().saturating_duration_since(at),
            LeaseState::Expired | LeaseState::Revoked => Duration::ZERO,
        };
        let mut dose: Dose = self.meter.read();
        self.rendezvous.read(&mut dose);
        Lease {
            id: self.id.clone(),
            fault: self.fault.clone(),
            state,
            expires_in_ms: millis(expires_in),
            held_ms: millis(at.saturating_duration_since(self.started)),
            dose,
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
