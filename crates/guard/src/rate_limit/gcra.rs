//! The arithmetic of GCRA, in nanoseconds since the limiter was made. It knows no lock and no clock.

/// Some 36 years. IMPORTANT: it is far from where additions are cut off, for a time that is cut off looks as if nothing
/// had been added.
const TOLERANCE_MAX: u64 = ARRIVAL_MAX / 4;
/// The latest theoretical arrival time, some 146 years: two bits are left for the limiter's own use.
pub(super) const ARRIVAL_MAX: u64 = u64::MAX / 4;

/// A quota as GCRA uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    /// The time that one permit is worth; 1 or more.
    pub(super) interval: u64,
    /// How far the theoretical arrival time may be ahead of now: what a full burst is worth.
    pub(super) tolerance: u64,
}

/// What a charge comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Charge {
    /// The theoretical arrival time if the charge is made.
    pub(super) arrival: u64,
    /// How long the call has to wait for it to conform.
    pub(super) wait: u64,
}

impl Terms {
    pub(super) fn new(interval: u64, burst: u32) -> Self {
        let interval = interval.max(1);
        Self { interval, tolerance: interval.saturating_mul(u64::from(burst)).min(TOLERANCE_MAX) }
    }

    /// Returns the largest burst that can be kept account of.
    pub(super) fn burst_max(interval: u64) -> u32 {
        u32::try_from(TOLERANCE_MAX / interval.max(1)).unwrap_or(u32::MAX)
    }

    /// Says what `permits` at `now` come to when the theoretical arrival time is `arrival`.
    #[inline]
    pub(super) fn charge(self, arrival: u64, permits: u32, now: u64) -> Charge {
        let arrival = arrival.max(now).saturating_add(self.cost(permits));
        Charge { arrival, wait: arrival.saturating_sub(self.tolerance).saturating_sub(now) }
    }

    /// Says whether `permits` may be taken by a charge for which a call would wait at most `wait_max`.
    #[inline]
    pub(super) fn allows(self, charge: Charge, permits: u32, wait_max: u64) -> bool {
        charge.wait <= wait_max && self.cost(permits) <= self.tolerance && charge.arrival <= ARRIVAL_MAX
    }

    /// Returns the time that `permits` are worth.
    #[inline]
    pub(super) fn cost(self, permits: u32) -> u64 {
        self.interval.saturating_mul(u64::from(permits))
    }

    /// Returns how many permits conform at `now`.
    pub(super) fn remaining(self, arrival: u64, now: u64) -> u32 {
        let used = arrival.saturating_sub(now);
        u32::try_from(self.tolerance.saturating_sub(used) / self.interval).unwrap_or(u32::MAX)
    }

    /// Returns the arrival time under these terms of what was used under `old` ones: as many permits.
    pub(super) fn convert(self, old: Self, arrival: u64, now: u64) -> u64 {
        let used = u128::from(arrival.saturating_sub(now));
        if used == 0 {
            return arrival;
        }
        let used = (used * u128::from(self.interval)).div_ceil(u128::from(old.interval));
        now.saturating_add(u64::try_from(used).unwrap_or(u64::MAX)).min(ARRIVAL_MAX)
    }
}
