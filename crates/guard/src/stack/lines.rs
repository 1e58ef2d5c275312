//! How a stack is shown: a line for each guard, outermost first.

use std::fmt::{self, Write};
use std::time::Duration;

use steadfast_base::Jitter;
use steadfast_base::units::{Percentage, format_duration as time};

use super::BudgetPolicy;
use super::current::Settings;
use crate::breaker::Window;

/// Writes the guards that are `named`, which are in their order.
pub(super) fn write(f: &mut fmt::Formatter<'_>, settings: &Settings, named: &[&str]) -> fmt::Result {
    let width = named.iter().map(|guard| guard.len()).max().unwrap_or(0).max(13) + 1;
    let mut guards = named.iter().peekable();
    while let Some(guard) = guards.next() {
        let text = line(settings, guard)?.unwrap_or_else(|| "off".to_owned());
        write!(f, "{guard:<width$}{text}")?;
        if guards.peek().is_some() {
            f.write_char('\n')?;
        }
    }
    Ok(())
}

/// Says what is set of a guard; nothing if it is switched off.
fn line(settings: &Settings, guard: &str) -> Result<Option<String>, fmt::Error> {
    Ok(match guard {
        "serverTiming" => settings.server_timing.then(|| "on".to_owned()),
        "fallback" => settings.fallback.then(|| "on".to_owned()),
        "deadline" => deadline(settings),
        "hedge" => settings.hedge.map(|hedge| {
            let policy = hedge.policy;
            let most = if policy.delay_max == Duration::MAX { String::new() } else { format!(" to {}", time(policy.delay_max)) };
            let (share, least) = (share(policy.percentile), time(policy.delay_min));
            let (samples, window) = (policy.samples_min, time(policy.window));
            let budget = budget(hedge.budget);
            format!("after {share} of the latencies of {window} ({samples} at least), {least}{most}; {budget}")
        }),
        "retry" => match settings.retry {
            Some(_) => Some(retry(settings)?),
            None => None,
        },
        "keyedRateLimit" => settings.keyed_rate_limit.map(|limit| {
            format!("{}, for each of {} keys; {}", limit.quota, limit.keys_max, wait(limit.policy.wait_max))
        }),
        "rateLimit" => settings
            .rate_limit
            .map(|limit| format!("{}; {}", limit.quota, wait(limit.policy.wait_max))),
        "bulkhead" => settings.bulkhead.map(|policy| {
            let newest = match policy.newest_first_after {
                Duration::MAX => "first in, first out".to_owned(),
                after => format!("the newest first after {}", time(after)),
            };
            let (calls, queue, wait) = (policy.concurrency_max, policy.queue_max, time(policy.wait_max));
            format!("{calls} at a time; {queue} wait, up to {wait}, {newest}")
        }),
        "shed" => settings.shed.map(|policy| {
            let (least, most, first) = (policy.limit_min, policy.limit_max, policy.limit_initial);
            let (tolerance, queue) = (policy.tolerance, policy.queue_max);
            let (longest, target) = (time(policy.wait_max), time(policy.wait_target));
            format!("{least} to {most} at a time, at first {first}, latency up to {tolerance} times the baseline; {queue} wait, up to {longest}, or {target} in a standing queue")
        }),
        "refuseExpired" => {
            settings.refuse_expired.map(|policy| format!("up to {} of the calls", share(policy.share_max)))
        }
        "breaker" => match settings.breaker {
            Some(_) => Some(breaker(settings)?),
            None => None,
        },
        "timeout" => settings.timeout.map(|after| format!("{} an attempt", time(after))),
        _ => None,
    })
}

fn deadline(settings: &Settings) -> Option<String> {
    let outgoing = settings.deadline.map(|deadline| {
        let kept = deadline.overhead.map_or_else(|| "what is measured".to_owned(), time);
        format!("{} by default; {kept} kept back", time(deadline.default))
    });
    outgoing.or_else(|| {
        let server = settings.server_deadline?;
        Some(format!("{} by default, {} at most", time(server.default), time(server.max)))
    })
}

fn retry(settings: &Settings) -> Result<String, fmt::Error> {
    let mut text = String::new();
    let Some(retry) = settings.retry else { return Ok(text) };
    let policy = retry.policy;
    let jitter = match policy.backoff.jitter {
        Jitter::None => "no jitter",
        Jitter::Full => "full jitter",
        Jitter::Decorrelated => "decorrelated jitter",
    };
    let (first, longest) = (time(policy.backoff.initial), time(policy.backoff.max));
    write!(text, "{} attempts", policy.attempts_max)?;
    if let Some(limit) = policy.attempt_timeout {
        write!(text, " of up to {}", time(limit))?;
    }
    if let Some(limit) = policy.overall_timeout {
        write!(text, ", {} in all", time(limit))?;
    }
    write!(text, "; waits from {first}, times {}, to {longest}, {jitter}", policy.backoff.factor)?;
    write!(text, ", what is asked for up to {}; {}", time(policy.retry_after_max), budget(retry.budget))?;
    Ok(text)
}

fn breaker(settings: &Settings) -> Result<String, fmt::Error> {
    let mut text = String::new();
    let Some(policy) = settings.breaker else { return Ok(text) };
    let window = match policy.window {
        Window::Calls(calls) => format!("the last {calls} calls"),
        Window::Time(window) => format!("the calls of {}", time(window)),
    };
    let (failed, least) = (share(policy.failure_ratio), policy.calls_min);
    write!(text, "opens at {failed} failed of {window} ({least} at least)")?;
    if let Some(slow) = policy.slow_calls {
        write!(text, ", at {} longer than {}", share(slow.ratio), time(slow.longer_than))?;
    }
    if let Some(failures) = policy.consecutive_failures {
        write!(text, ", at {failures} failed in a row")?;
    }
    let (open, probes, probing) = (time(policy.open_for), policy.probes, time(policy.probing_for));
    write!(text, "; {probes} probes after {open}, within {probing}")?;
    Ok(text)
}

fn wait(longest: Duration) -> String {
    if longest.is_zero() { "refuses at once".to_owned() } else { format!("waits up to {}", time(longest)) }
}

fn budget(BudgetPolicy { share: of, per_second }: BudgetPolicy) -> String {
    format!("budget of {} and {per_second}/s", share(of))
}

fn share(share: f64) -> String {
    Percentage::from_ratio(share).to_string()
}
