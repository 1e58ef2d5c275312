//! The guards of the program `orders`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::base::Backoff;
use steadfast::guard::breaker::Window;
use steadfast::guard::stack::{
    BudgetPolicy, DeadlineSettings, Error, IncomingSettings, OutgoingSettings, RetrySettings,
};
use steadfast::guard::{BreakerPolicy, BulkheadPolicy, RetryPolicy};

use super::process::Dependencies;
use super::stock::Reader;
use crate::host::{Incoming, incoming_defaults};

/// The time of a call that states none.
const DEFAULT_TIME: Duration = Duration::from_secs(3);
/// How long an attempt to ask what changes nothing may take.
const QUESTION_WITHIN: Duration = Duration::from_millis(500);
/// How long such a question may wait for a time that a guard, or inventory, asks for.
const QUESTION_WAIT_MAX: Duration = Duration::from_millis(50);

/// What is set of all guards: of calls that come in, and of those to each dependency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Guards {
    /// The guards of incoming calls.
    pub incoming: IncomingSettings,
    /// The guards of calls to payment.
    pub payment: OutgoingSettings,
    /// The guards of calls to inventory.
    pub inventory: OutgoingSettings,
    /// The guards of questions to inventory, which change nothing.
    pub stock: OutgoingSettings,
}

impl Default for Guards {
    fn default() -> Self {
        Self { incoming: incoming_defaults(), payment: outgoing(), inventory: outgoing(), stock: questions() }
    }
}

impl Guards {
    /// Changes the guards that are there: all of them, or none.
    ///
    /// # Errors
    /// Some settings contradict each other, or cannot be.
    pub fn apply(
        &self,
        incoming: &Incoming,
        dependencies: &Dependencies,
        stock: &Reader,
    ) -> Result<(), Error> {
        let Dependencies { inventory, payment } = dependencies;
        incoming.stack().check(&self.incoming)?;
        payment.stack().check(&self.payment)?;
        inventory.stack().check(&self.inventory)?;
        stock.stack().check(&self.stock)?;
        incoming.stack().apply(&self.incoming)?;
        payment.stack().apply(&self.payment)?;
        inventory.stack().apply(&self.inventory)?;
        stock.stack().apply(&self.stock)
    }
}

/// The guards of calls to a dependency.
fn outgoing() -> OutgoingSettings {
    OutgoingSettings {
        deadline: Some(DeadlineSettings::measured(DEFAULT_TIME)),
        retry: Some(retry()),
        // A bound, so that a dependency which hangs does not hold all there is of memory.
        bulkhead: Some(BulkheadPolicy {
            concurrency_max: 1024,
            queue_max: 1024,
            ..BulkheadPolicy::default()
        }),
        breaker: Some(breaker()),
        ..OutgoingSettings::default()
    }
}

/// The guards of questions to inventory. There is something to fall back on, so that they give up sooner than what
/// changes something, and leave inventory alone when half of them fail.
fn questions() -> OutgoingSettings {
    let retry = RetryPolicy {
        attempts_max: 3,
        attempt_timeout: Some(QUESTION_WITHIN),
        // Nobody waits for an open breaker who can have the last answer at once.
        retry_after_max: QUESTION_WAIT_MAX,
        ..retry().policy
    };
    OutgoingSettings {
        fallback: true,
        retry: Some(RetrySettings { policy: retry, budget: BudgetPolicy::default() }),
        breaker: Some(BreakerPolicy::default()),
        ..outgoing()
    }
}

/// Six attempts: of calls of which 30 % fail, one in 1,400 fails six times (0.3⁶). They need 0.43 repetitions for
/// each call (0.3 + 0.3² + …), so the budget is 0.6: enough for that, and a bound where everything fails. The waits
/// are short, for a call takes a few milliseconds and the caller may give no more than a few hundred.
fn retry() -> RetrySettings {
    RetrySettings {
        policy: RetryPolicy {
            attempts_max: 6,
            backoff: Backoff {
                initial: Duration::from_millis(10),
                max: Duration::from_millis(160),
                ..Backoff::default()
            },
            attempt_timeout: Some(Duration::from_secs(1)),
            // Bounds it also where the deadline is switched off.
            overall_timeout: Some(DEFAULT_TIME),
            ..RetryPolicy::default()
        },
        budget: BudgetPolicy { share: 0.6, per_second: 10 },
    }
}

/// Opens when 70 of 100 calls failed: a dependency that is slow for half of its calls still does useful work, and
/// those that are too late for the caller are finished in the background.
fn breaker() -> BreakerPolicy {
    BreakerPolicy {
        window: Window::Calls(100),
        failure_ratio: 0.7,
        consecutive_failures: None,
        ..BreakerPolicy::default()
    }
}
