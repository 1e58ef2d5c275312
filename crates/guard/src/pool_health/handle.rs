//! Changing the policy while a supervisor runs.

use tokio::sync::watch;

use super::PoolHealthPolicy;
use crate::PolicyError;

/// Changes the policy of a supervisor that runs. Clones change the same one.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_guard::pool_health::{Pool, PoolHealth};
/// use steadfast_guard::{PolicyError, PoolHealthPolicy};
///
/// /// Looks more often.
/// fn hurry<P: Pool>(health: &PoolHealth<P>) -> Result<(), PolicyError> {
///     let handle = health.handle(); // to be kept where the configuration is read
///     handle.apply(PoolHealthPolicy { interval: Duration::from_secs(1), ..handle.policy() })
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Handle {
    policy: watch::Sender<PoolHealthPolicy>,
}

impl Handle {
    pub(super) fn new(policy: watch::Sender<PoolHealthPolicy>) -> Self {
        Self { policy }
    }

    /// Returns the policy that holds for the next round.
    pub fn policy(&self) -> PoolHealthPolicy {
        *self.policy.borrow()
    }

    /// Changes the policy. A round that is being made ends by the policy that it began with, and what it has borrowed
    /// goes back or is evicted as that says. The next one comes when the new interval has passed since the last one;
    /// where it has already, when it has passed since the change. What was found so far stays, the pool's health too.
    ///
    /// # Errors
    /// [`PolicyError`] when a setting is out of its range. The policy of before stays.
    pub fn apply(&self, policy: PoolHealthPolicy) -> Result<(), PolicyError> {
        policy.check()?;
        self.policy.send_if_modified(|current| {
            let is_new = *current != policy;
            *current = policy;
            is_new
        });
        Ok(())
    }
}
