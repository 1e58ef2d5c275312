//! What a limiter has done, which can be looked at when the limiter is gone.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use steadfast_guard::Observed;
use steadfast_guard::pool_health::Waits;

use super::Snapshot;
use super::mode::Machine;

/// Who decides, and counts. It keeps neither the connection nor the task.
#[derive(Debug)]
pub(super) struct Record {
    prefix: Box<str>,
    pub(super) machine: Mutex<Machine>,
    pub(super) shared: Count,
    pub(super) leased: Count,
    pub(super) local: Count,
    pub(super) allowed: Count,
    pub(super) refused: Count,
    pub(super) timeouts: Count,
    pub(super) errors: Count,
    pub(super) round_trips: Waits,
    pub(super) leases: Count,
    pub(super) leased_permits: Count,
    pub(super) leased_permits_used: Count,
}

#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, number: impl Into<u64>) {
        self.0.fetch_add(number.into(), Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Record {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.into(),
            machine: Mutex::default(),
            shared: Count::default(),
            leased: Count::default(),
            local: Count::default(),
            allowed: Count::default(),
            refused: Count::default(),
            timeouts: Count::default(),
            errors: Count::default(),
            round_trips: Waits::default(),
            leases: Count::default(),
            leased_permits: Count::default(),
            leased_permits_used: Count::default(),
        }
    }
}

impl Observed<Snapshot> for Record {
    fn name(&self) -> &str {
        &self.prefix
    }

    fn snapshot(&self) -> Snapshot {
        let machine = *self.machine.lock();
        Snapshot {
            prefix: (*self.prefix).to_owned(),
            mode: machine.mode(),
            changes: machine.changes,
            shared: self.shared.get(),
            leased: self.leased.get(),
            local: self.local.get(),
            allowed: self.allowed.get(),
            refused: self.refused.get(),
            timeouts: self.timeouts.get(),
            errors: self.errors.get(),
            round_trips: self.round_trips.times(),
            leases: self.leases.get(),
            leased_permits: self.leased_permits.get(),
            leased_permits_used: self.leased_permits_used.get(),
        }
    }
}
