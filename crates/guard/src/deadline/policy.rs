//! How much time a call gets.

use std::time::Duration;

use super::Fixed;

/// How much of a request's time a call gets, and how much a request gets that states none.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_guard::deadline::{DeadlineLayer, DeadlinePolicy, Measured};
///
/// let policy = DeadlinePolicy {
///     overhead: Measured::within(Duration::from_millis(1), Duration::from_millis(100)),
///     default: Duration::from_secs(3),
/// };
/// let layer = DeadlineLayer::from(policy);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadlinePolicy<O = Fixed> {
    /// The time kept back for sending the request and for our own answer: [`Fixed`], or [`Measured`].
    ///
    /// [`Measured`]: super::Measured
    pub overhead: O,
    /// The time that a request without a deadline gets; the overhead is taken from it too.
    pub default: Duration,
}

impl Default for DeadlinePolicy {
    /// Keeps back 20 ms, and gives 3 s to a request without a deadline.
    fn default() -> Self {
        Self { overhead: Fixed(Duration::from_millis(20)), default: Duration::from_secs(3) }
    }
}
