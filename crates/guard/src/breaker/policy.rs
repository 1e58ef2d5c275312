//! When a breaker trips and how it recovers.

use std::time::Duration;

use super::state::nanos;

/// When a breaker opens, for how long, and what closes it again.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_guard::breaker::{BreakerPolicy, SlowCalls, Window};
///
/// let policy = BreakerPolicy {
///     window: Window::Time(Duration::from_secs(30)),
///     failure_ratio: 0.3,
///     slow_calls: Some(SlowCalls { longer_than: Duration::from_millis(800), ratio: 0.8 }),
///     ..BreakerPolicy::default()
/// };
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerPolicy {
    /// Over which calls the ratios are taken.
    pub window: Window,
    /// With fewer calls than these in the window the ratios say nothing; 1 or more, and no more than a window of calls
    /// has.
    pub calls_min: u32,
    /// The share of failed calls at or above which a failure opens the breaker; 0.0 to 1.0.
    pub failure_ratio: f64,
    /// What counts as slow, and how much of it opens the breaker; `None`: nothing is slow, and no call reads the clock
    /// for it.
    pub slow_calls: Option<SlowCalls>,
    /// How many failures without a success between them open the breaker; `None`: the ratios alone decide.
    pub consecutive_failures: Option<u32>,
    /// How long it stays open before it lets probes through.
    pub open_for: Duration,
    /// How many calls are let through half-open, all of which must succeed to close it; 1 or more.
    pub probes: u32,
    /// How long probes may take in all; probes that hang longer count as failed.
    pub probing_for: Duration,
}

/// The calls over which ratios are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// The last so many calls; 1 to 65,536.
    Calls(u32),
    /// The calls that ended within this time, to a tenth of it; 10 ns or more. Each call reads the clock when it ends.
    Time(Duration),
}

/// When calls are slow, and when that is too often.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlowCalls {
    /// A call that takes longer is slow; 8 ns or more. One that is still under way counts as soon as it is longer by at
    /// most a quarter, so that a callee which hangs is noticed before its callers give up. Each call reads the clock
    /// when it begins and when it ends.
    pub longer_than: Duration,
    /// The share of slow calls at or above which the breaker opens; 0.0 to 1.0.
    pub ratio: f64,
}

impl Default for BreakerPolicy {
    /// Opens for 1 s when half of the last 100 calls failed (20 at least), or 20 one after the other; 3 probes.
    fn default() -> Self {
        Self {
            window: Window::Calls(100),
            calls_min: 20,
            failure_ratio: 0.5,
            slow_calls: None,
            consecutive_failures: Some(20),
            open_for: Duration::from_secs(1),
            probes: 3,
            probing_for: Duration::from_secs(5),
        }
    }
}

impl Window {
    /// The most calls that a window can have.
    pub(crate) const CALLS_MAX: u32 = 1 << 16;
    /// Into how many slices a window of time is cut.
    pub(super) const SLICES: usize = 10;
}

impl SlowCalls {
    const LONGER_THAN_MIN: Duration = Duration::from_nanos(8);

    /// Returns the length of the parts of time that tell how old calls are, as a power of two of nanoseconds: an eighth
    /// of the time or up to half as much. Calls find their part by a shift.
    pub(super) fn part_log2(&self) -> u32 {
        (nanos(self.longer_than) / 8).max(1).ilog2()
    }

    /// Returns after how many parts a call is slow: 8 to 16.
    pub(super) fn parts(&self) -> u64 {
        nanos(self.longer_than).div_ceil(1 << self.part_log2())
    }
}

impl BreakerPolicy {
    /// Cuts each field to its range.
    pub(super) fn cut(self) -> Self {
        let calls_max = match self.window {
            Window::Calls(calls) => calls.clamp(1, Window::CALLS_MAX),
            Window::Time(_) => u32::MAX,
        };
        Self {
            window: match self.window {
                Window::Calls(_) => Window::Calls(calls_max),
                Window::Time(time) => Window::Time(time.max(Duration::from_nanos(Window::SLICES as u64))),
            },
            calls_min: self.calls_min.clamp(1, calls_max),
            failure_ratio: ratio(self.failure_ratio),
            slow_calls: self.slow_calls.map(|slow| SlowCalls {
                longer_than: slow.longer_than.max(SlowCalls::LONGER_THAN_MIN),
                ratio: ratio(slow.ratio),
            }),
            consecutive_failures: self.consecutive_failures.map(|failures| failures.max(1)),
            probes: self.probes.max(1),
            ..self
        }
    }
}

/// Makes a share of what may be none: all calls, if it is no number.
fn ratio(share: f64) -> f64 {
    if share.is_nan() { 1.0 } else { share.clamp(0.0, 1.0) }
}
