//! What faults on calls have in common: which share of them, and by how much they are late.

use std::time::Duration;

use steadfast_base::Rng;
use steadfast_base::units::{HumanDuration, Percentage};

use super::InvalidFault;

/// The longest delay of a call.
const DELAY_MAX: Duration = Duration::from_secs(3600);

/// Returns the share of a fault that names none: all calls.
pub(super) fn hundred() -> Percentage {
    Percentage::HUNDRED
}

/// Returns whether the share is all calls, which is not written out.
pub(super) fn is_hundred(percent: &Percentage) -> bool {
    *percent == Percentage::HUNDRED
}

/// Draws a delay evenly from `delay - jitter ..= delay + jitter`.
pub(super) fn draw(delay: Option<HumanDuration>, jitter: Option<HumanDuration>, rng: &mut Rng) -> Duration {
    let delay = delay.map_or(Duration::ZERO, |delay| delay.0);
    let jitter = jitter.map_or(Duration::ZERO, |jitter| jitter.0).min(delay);
    let width = u64::try_from(jitter.as_nanos() * 2).unwrap_or(u64::MAX - 1);
    delay - jitter + Duration::from_nanos(rng.below(width + 1))
}

pub(super) fn validate(
    kind: &'static str,
    delay: Option<HumanDuration>,
    jitter: Option<HumanDuration>,
    has_status: bool,
    percent: Percentage,
) -> Result<(), InvalidFault> {
    let error = |field, problem| Err(InvalidFault { kind, field, problem });
    let delay = delay.map_or(Duration::ZERO, |delay| delay.0);
    let jitter = jitter.map_or(Duration::ZERO, |jitter| jitter.0);
    if delay > DELAY_MAX {
        error("delay", "is longer than 1h")
    } else if jitter > delay {
        error("jitter", "exceeds the delay; it is drawn on both sides of it")
    } else if delay.is_zero() && !has_status {
        error("delay", "neither delay nor status is given, so the fault would do nothing")
    } else if percent == Percentage::ZERO {
        error("percent", "is 0%, so the fault would do nothing")
    } else {
        Ok(())
    }
}
