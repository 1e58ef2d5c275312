//! What settings must be, by themselves and beside each other.

use std::time::Duration;

use steadfast_base::units::format_duration;

use super::current::Settings;
use super::{BudgetPolicy, Error};
use crate::breaker::Window;
use crate::{BreakerPolicy, BulkheadPolicy, HedgePolicy, Quota, RetryPolicy, ShedPolicy};

/// Says what is wrong with `settings`: the first thing, outermost guard first.
pub(super) fn check(settings: &Settings) -> Result<(), Error> {
    deadlines(settings)?;
    if let Some(hedge) = settings.hedge {
        Guard("hedge").hedge(&hedge.policy, hedge.budget)?;
    }
    if let Some(retry) = settings.retry {
        Guard("retry").retry(&retry.policy, retry.budget)?;
    }
    if let Some(limit) = settings.keyed_rate_limit {
        Guard("keyedRateLimit").keyed_rate_limit(limit.keys_max, limit.quota, settings)?;
    }
    if let Some(bulkhead) = settings.bulkhead {
        Guard("bulkhead").bulkhead(&bulkhead)?;
    }
    if let Some(shed) = settings.shed {
        Guard("shed").shed(&shed)?;
    }
    if let Some(breaker) = settings.breaker {
        Guard("breaker").breaker(&breaker)?;
    }
    if let Some(after) = settings.timeout {
        Guard("timeout").is_positive("after", after)?;
    }
    if let Some(expired) = settings.refuse_expired {
        Guard("refuseExpired").is_share("shareMax", expired.share_max)?;
    }
    limits(settings)?;
    together(settings)
}

/// Says which guard is on that the stack has no place for.
pub(super) fn check_named(settings: &Settings, named: &[&str]) -> Result<(), Error> {
    match settings.on().find(|guard| !named.contains(guard)) {
        Some(guard) => Err(Error::NotNamed { guard }),
        None => Ok(()),
    }
}

fn deadlines(settings: &Settings) -> Result<(), Error> {
    let guard = Guard("deadline");
    if let Some(deadline) = settings.deadline {
        guard.is_positive("default", deadline.default)?;
        let overhead = deadline.overhead.unwrap_or_default();
        guard.unless(overhead >= deadline.default, "overhead", || {
            let (overhead, default) = (format_duration(overhead), format_duration(deadline.default));
            (format!("{overhead} leaves nothing of {default}"), "lower it, or raise `deadline.default`")
        })?;
    }
    if let Some(server) = settings.server_deadline {
        guard.is_positive("default", server.default)?;
        guard.unless(server.default > server.max, "default", || {
            let (default, max) = (format_duration(server.default), format_duration(server.max));
            (format!("{default} is more than the most, {max}"), "lower it, or raise `deadline.max`")
        })?;
    }
    Ok(())
}

/// What is needed around a guard, and no wait may be longer than the call.
fn together(settings: &Settings) -> Result<(), Error> {
    let Settings { deadline, retry, hedge, refuse_expired, server_deadline, .. } = settings;
    let mend = "switch the deadline on, or this off";
    if hedge.is_some() && deadline.is_none() {
        let problem = "a second attempt without a deadline is made when nobody waits any more";
        return Err(Error::Missing { guard: "hedge", problem, mend });
    }
    if let Some(retry) = retry
        && deadline.is_none()
        && retry.policy.overall_timeout.is_none()
    {
        let problem = "repetitions without a deadline go on when nobody waits any more";
        let mend = "switch the deadline on, or set `retry.overallTimeout`";
        return Err(Error::Missing { guard: "retry", problem, mend });
    }
    if refuse_expired.is_some() && server_deadline.is_none() {
        let problem = "without a deadline no call is ever expired";
        return Err(Error::Missing { guard: "refuseExpired", problem, mend });
    }
    let Some(whole) = whole(settings) else { return Ok(()) };
    let policy = retry.map(|retry| retry.policy);
    let waits = [
        ("retry", "attemptTimeout", policy.and_then(|policy| policy.attempt_timeout)),
        ("retry", "overallTimeout", policy.and_then(|policy| policy.overall_timeout)),
        ("timeout", "after", settings.timeout),
        ("hedge", "delayMin", hedge.map(|hedge| hedge.policy.delay_min)),
        ("keyedRateLimit", "waitMax", settings.keyed_rate_limit.map(|limit| limit.policy.wait_max)),
        ("rateLimit", "waitMax", settings.rate_limit.map(|limit| limit.policy.wait_max)),
        ("bulkhead", "waitMax", settings.bulkhead.map(|bulkhead| bulkhead.wait_max)),
        ("shed", "waitMax", settings.shed.map(|shed| shed.wait_max)),
    ];
    for (guard, setting, time) in waits {
        let time = time.unwrap_or_default();
        Guard(guard).unless(time > whole, setting, || {
            let problem = format!("{} is longer than a call may take", format_duration(time));
            (format!("{problem}, {}", format_duration(whole)), "lower it, or raise the deadline")
        })?;
    }
    slow_calls(settings, whole)
}

/// Slow is only what can become slow before it is given up.
fn slow_calls(settings: &Settings, whole: Duration) -> Result<(), Error> {
    let Some(slow) = settings.breaker.and_then(|breaker| breaker.slow_calls) else { return Ok(()) };
    let attempt = settings.retry.and_then(|retry| retry.policy.attempt_timeout);
    let bound = [attempt, settings.timeout].into_iter().flatten().fold(whole, Duration::min);
    Guard("breaker").unless(slow.longer_than >= bound, "slowCalls.longerThan", || {
        let (slow, bound) = (format_duration(slow.longer_than), format_duration(bound));
        (format!("no call takes {slow}: it is given up after {bound}"), "lower it")
    })
}

/// Returns the longest that a call takes which states no time, if there is a bound.
fn whole(settings: &Settings) -> Option<Duration> {
    let overall = settings.retry.and_then(|retry| retry.policy.overall_timeout);
    let deadline = settings.deadline.map(|deadline| deadline.default);
    // What is incoming may state more than the default.
    deadline.or(settings.server_deadline.map(|server| server.max)).or(overall)
}

fn limits(settings: &Settings) -> Result<(), Error> {
    let (Some(bulkhead), Some(shed)) = (settings.bulkhead, settings.shed) else { return Ok(()) };
    // The bulkhead stands above: what it holds back the adaptive limit never sees.
    Guard("shed").unless(shed.limit_min > bulkhead.concurrency_max, "limitMin", || {
        let problem = format!(
            "{} at a time never come, for the bulkhead lets {} in",
            shed.limit_min, bulkhead.concurrency_max
        );
        (problem, "lower it, or raise `bulkhead.concurrencyMax`")
    })
}

/// The name of the guard that is looked at.
struct Guard(&'static str);

impl Guard {
    fn unless(
        &self,
        is_wrong: bool,
        setting: &'static str,
        why: impl FnOnce() -> (String, &'static str),
    ) -> Result<(), Error> {
        if !is_wrong {
            return Ok(());
        }
        let (problem, mend) = why();
        Err(Error::Setting { guard: self.0, setting, problem, mend })
    }

    fn is_positive(&self, setting: &'static str, time: Duration) -> Result<(), Error> {
        self.unless(time.is_zero(), setting, || {
            ("must be more than 0".to_owned(), "raise it, or switch this off")
        })
    }

    fn is_at_least_one(&self, setting: &'static str, number: u32) -> Result<(), Error> {
        self.unless(number == 0, setting, || ("must be 1 or more".to_owned(), "raise it, or switch this off"))
    }

    fn is_share(&self, setting: &'static str, share: f64) -> Result<(), Error> {
        self.unless(!(0.0..=1.0).contains(&share), setting, || {
            (format!("{share} is no share"), "write a share from 0.0 to 1.0")
        })
    }

    fn is_budget(&self, BudgetPolicy { share, per_second }: BudgetPolicy) -> Result<(), Error> {
        self.is_share("budget.share", share)?;
        self.unless(share == 0.0 && per_second == 0, "budget", || {
            ("earns nothing, so that nothing is repeated".to_owned(), "raise it, or switch this off")
        })
    }

    fn hedge(&self, policy: &HedgePolicy, budget: BudgetPolicy) -> Result<(), Error> {
        self.unless(!(0.5..=0.999).contains(&policy.percentile), "percentile", || {
            (format!("{}% is out of range", policy.percentile * 100.0), "write 50% to 99.9%")
        })?;
        self.unless(policy.delay_min > policy.delay_max, "delayMin", || {
            ("is more than `delayMax`".to_owned(), "lower it, or raise `delayMax`")
        })?;
        self.is_positive("window", policy.window)?;
        self.is_at_least_one("samplesMin", policy.samples_min)?;
        self.is_budget(budget)
    }

    fn retry(&self, policy: &RetryPolicy, budget: BudgetPolicy) -> Result<(), Error> {
        self.is_at_least_one("attemptsMax", policy.attempts_max)?;
        self.unless(policy.backoff.initial > policy.backoff.max, "backoff.initial", || {
            ("is more than `backoff.max`".to_owned(), "lower it, or raise `backoff.max`")
        })?;
        // Not a number is no factor either.
        self.unless(
            policy.backoff.factor < 1.0 || !policy.backoff.factor.is_finite(),
            "backoff.factor",
            || (format!("{} makes waits no longer", policy.backoff.factor), "write 1 or more"),
        )?;
        if let Some(time) = policy.attempt_timeout {
            self.is_positive("attemptTimeout", time)?;
        }
        if let Some(time) = policy.overall_timeout {
            self.is_positive("overallTimeout", time)?;
            let attempt = policy.attempt_timeout.unwrap_or_default();
            self.unless(attempt > time, "attemptTimeout", || {
                let (attempt, time) = (format_duration(attempt), format_duration(time));
                (
                    format!("{attempt} is longer than all attempts may take, {time}"),
                    "lower it, or raise `overallTimeout`",
                )
            })?;
        }
        self.is_budget(budget)
    }

    fn keyed_rate_limit(&self, keys_max: usize, quota: Quota, settings: &Settings) -> Result<(), Error> {
        self.unless(keys_max == 0, "keysMax", || {
            ("must be 1 or more".to_owned(), "raise it, or switch this off")
        })?;
        let Some(all) = settings.rate_limit.map(|limit| limit.quota) else { return Ok(()) };
        // The limit of all stands below: of a key that may have more than all of them it alone is ever met.
        let per_second = |quota: Quota| f64::from(quota.permits()) / quota.window().as_secs_f64();
        let is_never_met = per_second(quota) > per_second(all) && quota.burst() >= all.burst();
        self.unless(is_never_met, "rate", || {
            let problem = format!("{quota}, is more for one key than for all together, {all}");
            (problem, "lower it, or raise `rateLimit.rate`")
        })
    }

    fn bulkhead(&self, policy: &BulkheadPolicy) -> Result<(), Error> {
        self.is_at_least_one("concurrencyMax", policy.concurrency_max)
    }

    fn shed(&self, policy: &ShedPolicy) -> Result<(), Error> {
        let ShedPolicy { limit_initial, limit_min, limit_max, tolerance, .. } = *policy;
        self.is_at_least_one("limitMin", limit_min)?;
        self.unless(limit_min > limit_max, "limitMin", || {
            (format!("{limit_min} is more than `limitMax`, {limit_max}"), "lower it, or raise `limitMax`")
        })?;
        self.unless(!(limit_min..=limit_max).contains(&limit_initial), "limitInitial", || {
            (
                format!("{limit_initial} is not between {limit_min} and {limit_max}"),
                "bring it between the two",
            )
        })?;
        self.unless(!(1.0..=10.0).contains(&tolerance), "tolerance", || {
            (format!("{tolerance} is out of range"), "write 1.0 to 10.0")
        })?;
        self.is_at_least_one("samplesMin", policy.samples_min)?;
        self.is_positive("probeEvery", policy.probe_every)
    }

    fn breaker(&self, policy: &BreakerPolicy) -> Result<(), Error> {
        self.is_at_least_one("callsMin", policy.calls_min)?;
        match policy.window {
            Window::Calls(calls) => {
                self.unless(!(1..=Window::CALLS_MAX).contains(&calls), "window", || {
                    (format!("{calls} calls are out of range"), "write 1 to 65536 calls, or a duration")
                })?;
                self.unless(policy.calls_min > calls, "callsMin", || {
                    let problem = format!("{} calls never are in a window of {calls}", policy.calls_min);
                    (problem, "lower it, or raise `window`")
                })?;
            }
            Window::Time(time) => self.is_positive("window", time)?,
        }
        self.is_share("failureRatio", policy.failure_ratio)?;
        self.unless(policy.failure_ratio == 0.0, "failureRatio", || {
            ("a share of 0 is always reached".to_owned(), "raise it")
        })?;
        if let Some(slow) = policy.slow_calls {
            self.is_positive("slowCalls.longerThan", slow.longer_than)?;
            self.is_share("slowCalls.ratio", slow.ratio)?;
        }
        if let Some(failures) = policy.consecutive_failures {
            self.is_at_least_one("consecutiveFailures", failures)?;
        }
        self.is_positive("openFor", policy.open_for)?;
        self.is_at_least_one("probes", policy.probes)?;
        self.is_positive("probingFor", policy.probing_for)
    }
}
