//! Timers: ticks as events, at an interval or by a cron expression in a time zone.
//!
//! A tick is an event of type [`Config::kind`] whose subject is the timer's name and whose `time` is when it was due.
//! Its identity is made of source, name and due time: the same tick has the same identity in every process, so that an
//! inbox handles it once although several instances of a service run the same timer, and after a restart.
//!
//! - **When**: an interval is counted from 1970 on (`every 10s` ticks at :00, :10, … of each minute), cron by
//!   [`Schedule::Cron`]. [`Config::jitter`] delays each tick; its due time stays.
//! - **Missed ticks**: a tick is missed when it could not be handed out within [`Config::late_after`] of its time,
//!   since the process was not running or suspended, the clock was set forward, or the handler still had
//!   [`Config::unsettled_max`] ticks. [`Missed`] says what becomes of it.
//! - **Restart**: ticks before [`TimerSource`] was made are not missed, unless it is told [`TimerSource::after`] which
//!   tick was handled last; keep that time together with the effect.
//! - **A clock set back** repeats no tick: the timer waits until its time comes again, for at most an hour; set back
//!   by more, it goes on from the new time.
//!
//! Wall time is a [`Clock`](steadfast_base::Clock), waiting is tokio's: a test pauses both with
//! [`TokioClock`](steadfast_base::TokioClock).

mod config;
mod generator;
mod missed;
mod plan;
mod receiver;
mod source;
#[cfg(test)]
mod tests;
mod zone;

pub use config::Config;
pub use config::Missed;
pub use config::Schedule;
pub use source::Metrics;
pub use source::TimerSource;

/// The name that errors and metrics give to this transport.
const SYSTEM: &str = "timer";
