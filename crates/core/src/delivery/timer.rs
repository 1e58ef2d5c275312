use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};

pin_project! {
    /// A timer for a row of deadlines that never go backwards. It is registered with the runtime only when
    /// something has to wait, and then stays registered while earlier deadlines pass unused, so that a row of short
    /// waits costs one registration per deadline's length, not per wait.
    pub(super) struct Timer {
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl Timer {
    pub(super) fn new() -> Self {
        Self { sleep: None }
    }

    /// Is ready once `deadline` has passed.
    pub(super) fn poll_until(self: Pin<&mut Self>, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let mut sleep = self.project().sleep;
        loop {
            match sleep.as_mut().as_pin_mut() {
                None => sleep.set(Some(tokio::time::sleep_until(deadline))),
                Some(armed) if armed.deadline() > deadline => armed.reset(deadline),
                Some(mut armed) => {
                    let at = armed.deadline();
                    std::task::ready!(armed.as_mut().poll(cx));
                    if at >= deadline {
                        return Poll::Ready(());
                    }
                    armed.reset(deadline);
                }
            }
        }
    }
}
