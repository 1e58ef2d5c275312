//! The point in time until which an answer is of use.

use std::time::Duration;

use tokio::time::Instant;

/// The instant after which nobody waits for the answer any more.
///
/// A deadline belongs to one delivery or one command. It travels between processes as *remaining time* (clocks
/// differ), and is never stored with an event.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_base::Deadline;
///
/// let inbound = Deadline::within(Duration::from_secs(3));
/// let outbound = inbound.derive(Duration::from_millis(50)).expect("time is left");
/// assert!(outbound.remaining() < inbound.remaining());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline {
    at: Instant,
}

impl Deadline {
    /// Creates a deadline `remaining` from now; a value too large to represent is cut to about 30 years.
    pub fn within(remaining: Duration) -> Self {
        Self::after(Instant::now(), remaining)
    }

    /// Creates a deadline `remaining` from `start`, for those who have read the clock already; a value too large to
    /// represent is cut to about 30 years.
    pub fn after(start: Instant, remaining: Duration) -> Self {
        const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
        Self { at: start + remaining.min(FAR) }
    }

    /// Creates a deadline at `at`.
    pub fn at(at: Instant) -> Self {
        Self { at }
    }

    /// Returns the instant itself.
    pub fn instant(self) -> Instant {
        self.at
    }

    /// Returns the time left, zero when the deadline has passed.
    pub fn remaining(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Says whether no time is left.
    pub fn is_expired(self) -> bool {
        self.remaining().is_zero()
    }

    /// Returns the deadline to hand down to a callee: this one less `overhead`, the time that sending and
    /// answering take.
    ///
    /// # Errors
    /// [`DeadlineExceeded`] when nothing would be left; the call must not be sent then.
    pub fn derive(self, overhead: Duration) -> Result<Self, DeadlineExceeded> {
        let at = self.at.checked_sub(overhead).ok_or(DeadlineExceeded)?;
        if at <= Instant::now() { Err(DeadlineExceeded) } else { Ok(Self { at }) }
    }

    /// Returns the earlier of two deadlines.
    pub fn earliest(self, other: Self) -> Self {
        self.min(other)
    }
}

/// No time was left, so nothing was sent. Repeating the call cannot help: whoever asked has stopped waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("deadline exceeded")]
pub struct DeadlineExceeded;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn remaining_shrinks_and_stops_at_zero() {
        let deadline = Deadline::within(Duration::from_millis(100));
        tokio::time::advance(Duration::from_millis(60)).await;
        assert_eq!(deadline.remaining(), Duration::from_millis(40));
        tokio::time::advance(Duration::from_millis(60)).await;
        assert_eq!(deadline.remaining(), Duration::ZERO);
        assert!(deadline.is_expired());
    }

    #[tokio::test(start_paused = true)]
    async fn derive_refuses_when_the_overhead_eats_the_rest() {
        let deadline = Deadline::within(Duration::from_millis(100));
        assert_eq!(
            deadline.derive(Duration::from_millis(30)).map(Deadline::remaining),
            Ok(Duration::from_millis(70))
        );
        assert_eq!(deadline.derive(Duration::from_millis(100)), Err(DeadlineExceeded));
    }
}
