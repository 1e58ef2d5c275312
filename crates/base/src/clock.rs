//! Wall time as an input. Monotonic time is tokio's, which tests can pause.

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

/// A source of wall time.
///
/// Code that stamps events or compares calendar times takes a `Clock`, so that a test or a fault can move it.
/// Durations and deadlines never use it: they use [`tokio::time::Instant`], which does not jump.
pub trait Clock: Send + Sync + 'static {
    /// Returns the present wall time.
    fn now(&self) -> SystemTime;
}

/// The wall clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// A clock that moves with tokio's time, so that a test that pauses that one moves both.
///
/// # Examples
/// ```
/// use std::time::{Duration, SystemTime};
/// use steadfast_base::{Clock, TokioClock};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let clock = TokioClock::at(SystemTime::UNIX_EPOCH);
/// tokio::time::advance(Duration::from_secs(5)).await;
/// assert_eq!(clock.now(), SystemTime::UNIX_EPOCH + Duration::from_secs(5));
/// # });
/// ```
#[derive(Debug, Clone, Copy)]
pub struct TokioClock {
    start: SystemTime,
    started: tokio::time::Instant,
}

impl TokioClock {
    /// Creates a clock that shows `now` now.
    pub fn at(now: SystemTime) -> Self {
        Self { start: now, started: tokio::time::Instant::now() }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> SystemTime {
        self.start + self.started.elapsed()
    }
}

/// A clock that moves only when told to.
///
/// # Examples
/// ```
/// use std::time::{Duration, SystemTime};
/// use steadfast_base::{Clock, ManualClock};
///
/// let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
/// clock.advance(Duration::from_secs(5));
/// assert_eq!(clock.now(), SystemTime::UNIX_EPOCH + Duration::from_secs(5));
/// ```
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<SystemTime>,
}

impl ManualClock {
    /// Creates a clock that stands at `now`.
    pub fn at(now: SystemTime) -> Self {
        Self { now: Mutex::new(now) }
    }

    /// Moves the clock forward by `step`.
    pub fn advance(&self, step: Duration) {
        *self.lock() += step;
    }

    /// Sets the clock, also backwards.
    pub fn set(&self, now: SystemTime) {
        *self.lock() = now;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, SystemTime> {
        self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        *self.lock()
    }
}
