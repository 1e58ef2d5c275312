//! What is shared, and what happens when it cannot be.

use std::time::Duration;

use steadfast_core::transport::Error;
use steadfast_guard::rate_limit::Quota;

use crate::redis::SYSTEM;

/// How a limiter uses the server, and what it does without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What each key begins with; not empty. Limiters that share quotas have the same.
    pub prefix: String,
    /// The quota of each key, of all processes together.
    pub quota: Quota,
    /// The quota of each key that this process has while Redis does not answer.
    pub local_share: Quota,
    /// Of how many keys the local share keeps account; the others share one quota among them then.
    pub keys_max: usize,
    /// How long a call waits for an answer; 1 ms or more.
    pub answer_within: Duration,
    /// After how many calls in a row without an answer the local share decides at once; 1 or more.
    pub fall_back_after: u32,
    /// How often the server is asked meanwhile; 1 ms or more.
    pub retry_every: Duration,
    /// After how many good answers in a row the shared quota decides again; 1 or more.
    pub return_after: u32,
    /// How many permits are taken at a time; 1 takes what a call needs. At most half of the burst is taken in advance.
    pub lease: u32,
    /// How long permits that were taken in advance can be used.
    pub lease_for: Duration,
}

impl Settings {
    /// Creates settings with the prefix `limit`, an answer within 50 ms, falling back after 3 calls without one, asking
    /// every 200 ms, returning after 3 answers, 100,000 keys, and no leases (`lease_for` 100 ms, for those who set them).
    pub fn new(quota: Quota, local_share: Quota) -> Self {
        Self {
            prefix: "limit".to_owned(),
            quota,
            local_share,
            keys_max: 100_000,
            answer_within: Duration::from_millis(50),
            fall_back_after: 3,
            retry_every: Duration::from_millis(200),
            return_after: 3,
            lease: 1,
            lease_for: Duration::from_millis(100),
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let wrong = |field, problem: &str| {
            Err(Error::Configuration { system: SYSTEM, field, problem: problem.to_owned() })
        };
        if self.prefix.is_empty() {
            return wrong("prefix", "give it a name");
        }
        if self.answer_within < Duration::from_millis(1) {
            return wrong("answerWithin", "choose at least 1ms");
        }
        if self.retry_every < Duration::from_millis(1) {
            return wrong("retryEvery", "choose at least 1ms");
        }
        Ok(())
    }
}
