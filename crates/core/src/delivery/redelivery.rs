use std::any::Any;
use std::fmt::Display;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use steadfast_base::{Backoff, Classify, Deadline, Seed};
use tower::{Service, ServiceExt};

use super::Delivery;

/// How often, and after what wait, a handler that failed gets the same message again.
///
/// An error is repeated if its [class](Classify) says that repeating can help; a panic, a handler that took too
/// long and one that was dropped are always repeated. Where the error says how long to wait, that is waited at
/// least.
#[derive(Debug, Clone)]
pub struct Redelivery {
    /// How many attempts a message gets, the first included; 0 counts as 1.
    pub attempts_max: u32,
    /// How long one attempt may take; it is the deadline of the delivery.
    pub attempt_timeout: Duration,
    /// How long to wait between attempts.
    pub backoff: Backoff,
    /// What the jitter of the waits is drawn from.
    pub seed: Seed,
}

impl Default for Redelivery {
    /// Five attempts of at most 30 s each.
    fn default() -> Self {
        Self {
            attempts_max: 5,
            attempt_timeout: Duration::from_secs(30),
            backoff: Backoff::default(),
            seed: Seed::random(),
        }
    }
}

/// Why an attempt failed.
pub(crate) struct Failure {
    pub(crate) reason: String,
    pub(crate) retryable: bool,
    pub(crate) retry_after: Duration,
}

impl Failure {
    pub(crate) fn transient(reason: String) -> Self {
        Self { reason, retryable: true, retry_after: Duration::ZERO }
    }

    fn of_error(error: &(impl Classify + Display)) -> Self {
        Self {
            reason: error.to_string(),
            retryable: error.classify().is_retryable(),
            retry_after: error.retry_after().unwrap_or_default(),
        }
    }
}

/// Gives `delivery` to `handler` once.
pub(crate) async fn attempt<T, S>(
    handler: &mut S,
    delivery: Delivery<T>,
    deadline: Deadline,
) -> Result<(), Failure>
where
    S: Service<Delivery<T>>,
    S::Error: Classify + Display,
{
    let call = async { handler.ready().await?.call(delivery).await };
    match tokio::time::timeout_at(deadline.instant(), AssertUnwindSafe(call).catch_unwind()).await {
        Ok(Ok(Ok(_))) => Ok(()),
        Ok(Ok(Err(error))) => Err(Failure::of_error(&error)),
        Ok(Err(panic)) => Err(Failure::transient(format!("the handler panicked: {}", message(&*panic)))),
        Err(_) => Err(Failure::transient("the handler took too long".to_owned())),
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
