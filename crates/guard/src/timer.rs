//! A timer that goes off whatever the task does besides.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::task::coop::{Unconstrained, unconstrained};
use tokio::time::{Instant, Sleep, sleep_until};

pin_project! {
    /// Waits until a time. It does not take part in the budget of its task: a call that never lacks work uses that up
    /// each time it is polled, and a timer that is polled behind it would never be set.
    pub(crate) struct Timer {
        #[pin]
        sleep: Unconstrained<Sleep>,
    }
}

impl Timer {
    #[inline]
    pub(crate) fn until(end: Instant) -> Self {
        Self { sleep: unconstrained(sleep_until(end)) }
    }
}

impl Future for Timer {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().sleep.poll(cx)
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").finish_non_exhaustive()
    }
}
