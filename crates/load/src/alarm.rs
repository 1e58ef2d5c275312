//! Waking at a moment, more exactly than the runtime's own timer, which ticks once per millisecond: a latency that
//! counts from the intended start contains whatever the generator overslept.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;

/// A timer of the kernel that wakes the event loop like a connection does.
pub(crate) struct Alarm {
    timer: AsyncFd<OwnedFd>,
}

impl Alarm {
    /// Creates the timer. It belongs to the runtime that it is called in.
    pub(crate) fn new() -> io::Result<Self> {
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        // SAFETY: an `OwnedFd` always gives the same descriptor and keeps it open until it is dropped, which happens
        // after it was deregistered, for `AsyncFd` owns it.
        #[allow(unsafe_code, reason = "there is no safe way to register a descriptor")]
        let timer = unsafe { AsyncFd::register(timer) }?;
        Ok(Self { timer })
    }

    /// Waits for `moment`. Dropped before, it leaves nothing behind: the next wait sets the timer anew.
    pub(crate) async fn until(&self, moment: Instant) -> io::Result<()> {
        loop {
            let wait = moment.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                return Ok(());
            }
            let value = Itimerspec { it_interval: timespec(Duration::ZERO), it_value: timespec(wait) };
            timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::empty(), &value)?;
            let mut ready = self.timer.readable().await?;
            // Setting the timer takes back what it had counted, so that the descriptor need not be read.
            ready.clear_ready();
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_rings_at_its_moment_and_again() {
        let alarm = Alarm::new().expect("a timer");
        for millis in [0, 1, 7, 3] {
            let moment = Instant::now() + Duration::from_millis(millis);
            // A wait that was given up does not ring the next one.
            let early =
                tokio::time::timeout(Duration::ZERO, alarm.until(moment + Duration::from_secs(60))).await;
            assert!(early.is_err());
            alarm.until(moment).await.expect("a wait");
            assert!(Instant::now() >= moment);
        }
    }
}
