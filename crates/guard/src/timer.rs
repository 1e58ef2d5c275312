//! A timer that goes off whatever the task does besides, and that is cheap to set where most are never needed.
//!
//! All timers of a runtime stand under one lock of tokio's, which is taken to set one and to take it back. Nearly every
//! deadline is taken back, so a timer of tokio's that is not needed any more is kept, still set, for the next deadline
//! on this thread: that one is no earlier, as a rule, and then nothing has to be set. It goes off early once, at the time
//! of the deadline before, and is set anew then. The lock is taken once for each time that passes, not for each call.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::runtime::{Handle, Id};
use tokio::task::coop::{Unconstrained, unconstrained};
use tokio::time::{Instant, Sleep, sleep_until};

/// How many timers a thread keeps: as many as it is likely to set before it takes one back.
const KEPT_MAX: usize = 16;

thread_local! {
    static KEPT: RefCell<Vec<Alarm>> = const { RefCell::new(Vec::new()) };
}

/// Waits until a time. It does not take part in the budget of its task: a call that never lacks work uses that up each
/// time it is polled, and a timer that is polled behind it would never be set.
pub(crate) struct Timer {
    end: Instant,
    /// `None` before it is polled first, and once it has gone off.
    alarm: Option<Alarm>,
}

/// A timer of tokio's, which goes off at `at` or has done so.
struct Alarm {
    runtime: Id,
    at: Instant,
    sleep: Pin<Box<Unconstrained<Sleep>>>,
}

impl Timer {
    #[inline]
    pub(crate) fn until(end: Instant) -> Self {
        Self { end, alarm: None }
    }
}

impl Future for Timer {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let end = self.end;
        let alarm = self.alarm.get_or_insert_with(|| Alarm::for_use_by(end));
        loop {
            ready!(alarm.sleep.as_mut().poll(cx));
            if alarm.at >= end {
                self.alarm = None;
                return Poll::Ready(());
            }
            // It went off for the deadline before.
            *alarm = Alarm::new(Handle::current().id(), end);
        }
    }
}

impl Drop for Timer {
    #[inline]
    fn drop(&mut self) {
        if let Some(alarm) = self.alarm.take() {
            alarm.keep();
        }
    }
}

impl Alarm {
    fn new(runtime: Id, at: Instant) -> Self {
        Self { runtime, at, sleep: Box::pin(unconstrained(sleep_until(at))) }
    }

    /// Returns one that goes off by `end`, or makes it.
    fn for_use_by(end: Instant) -> Self {
        // IMPORTANT: Another runtime may have another time, and may not run any more.
        let runtime = Handle::current().id();
        let kept = KEPT.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            let at = kept.iter().rposition(|alarm| alarm.runtime == runtime && alarm.at <= end)?;
            Some(kept.swap_remove(at))
        });
        kept.ok().flatten().unwrap_or_else(|| Self::new(runtime, end))
    }

    /// Keeps it for the next deadline on this thread.
    fn keep(self) {
        let mut kept_one = Some(self);
        let too_old = KEPT.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            let too_old = (kept.len() >= KEPT_MAX).then(|| kept.swap_remove(0));
            kept.extend(kept_one.take());
            too_old
        });
        // IMPORTANT: Dropped when nothing is borrowed any more, for that drops a waker, which may run code of others.
        drop(too_old);
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").field("end", &self.end).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Sets a timer and takes it back.
    async fn give_up(end: Instant) {
        let mut timer = Timer::until(end);
        poll_fn(|cx| {
            assert!(Pin::new(&mut timer).poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
    }

    fn kept() -> Vec<Instant> {
        KEPT.with(|kept| kept.borrow().iter().map(|alarm| alarm.at).collect())
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_that_was_kept_does_not_go_off_early_or_late() {
        let start = Instant::now();
        give_up(start + SECOND).await;
        assert_eq!(kept(), [start + SECOND]);
        Timer::until(start + 3 * SECOND).await;
        assert_eq!((start.elapsed().as_secs(), kept().len()), (3, 0), "it was used, and has gone off");
        // Those that are kept are later: an earlier one is set anew.
        give_up(start + 60 * SECOND).await;
        Timer::until(start + 4 * SECOND).await;
        assert_eq!(start.elapsed().as_secs(), 4);
        assert_eq!(kept(), [start + 60 * SECOND]);
    }

    #[tokio::test(start_paused = true)]
    async fn timers_are_kept_up_to_a_number_and_set_for_the_first_of_many_deadlines() {
        let start = Instant::now();
        for n in 0..100 {
            give_up(start + SECOND + n * Duration::from_millis(1)).await;
        }
        assert_eq!(kept(), [start + SECOND], "all have used the first");
        let timers: Vec<_> = (1..=100).map(|n| start + n * SECOND).map(Timer::until).collect();
        poll_all(timers).await;
        assert_eq!(kept().len(), KEPT_MAX);
    }

    async fn poll_all(mut timers: Vec<Timer>) {
        poll_fn(|cx| {
            for timer in &mut timers {
                assert!(Pin::new(timer).poll(cx).is_pending());
            }
            Poll::Ready(())
        })
        .await;
    }

    #[test]
    fn a_timer_of_another_runtime_is_not_used() {
        let runtime = || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_time().start_paused(true).build().expect("a runtime")
        };
        let (first, second) = (runtime(), runtime());
        first.block_on(async { give_up(Instant::now() + SECOND).await });
        // Nobody runs the first any more.
        second.block_on(async {
            let start = Instant::now();
            Timer::until(start + 2 * SECOND).await;
            assert_eq!(start.elapsed().as_secs(), 2);
        });
        drop(first);
        second.block_on(async { give_up(Instant::now() + SECOND).await });
        assert_eq!(kept().len(), 2);
    }
}
