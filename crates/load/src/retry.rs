use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use steadfast_base::{Backoff, Rng};

use crate::CommandResult;

/// Which failures are tried again, how often and after what wait. A repetition keeps the command's key.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RetryPolicy {
    /// Most repetitions after the first attempt; 0 never repeats.
    pub max: u32,
    /// What is repeated.
    pub on: Vec<RetryOn>,
    /// The wait before each repetition. Where an answer asks for more by `Retry-After`, that is waited, but never
    /// longer than the back-off's maximum.
    pub backoff: Backoff,
}

/// A failure that may be repeated, written `503`, `connect`, `reset` or `timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RetryOn {
    /// An answer with this status.
    Status(u16),
    /// No connection could be made.
    Connect,
    /// The connection was lost before the answer was complete.
    Reset,
    /// The attempt took longer than the step's timeout.
    Timeout,
}

/// A word that names no failure. Repeating cannot help; the text must be mended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot be retried on; write a status such as 503, or connect, reset or timeout")]
pub struct RetryOnError(pub String);

impl RetryPolicy {
    /// Returns the wait before repetition `repetition` (from 0) of what ended with `result`; none if it is not to
    /// be repeated.
    pub(crate) fn wait(
        &self,
        repetition: u32,
        result: CommandResult,
        retry_after: Option<Duration>,
        rng: &mut Rng,
    ) -> Option<Duration> {
        let wanted = match result {
            CommandResult::Refused { status } | CommandResult::Failed { status } => RetryOn::Status(status),
            CommandResult::ConnectFailed => RetryOn::Connect,
            CommandResult::ConnectionLost => RetryOn::Reset,
            CommandResult::TimedOut => RetryOn::Timeout,
            _ => return None,
        };
        if repetition >= self.max || !self.on.contains(&wanted) {
            return None;
        }
        let asked = retry_after.unwrap_or_default().min(self.backoff.max);
        Some(self.backoff.delay(repetition, rng).max(asked))
    }
}

impl FromStr for RetryOn {
    type Err = RetryOnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "connect" => Ok(Self::Connect),
            "reset" => Ok(Self::Reset),
            "timeout" => Ok(Self::Timeout),
            other => match other.parse() {
                Ok(status @ 100..=599) => Ok(Self::Status(status)),
                _ => Err(RetryOnError(other.to_owned())),
            },
        }
    }
}

impl fmt::Display for RetryOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => status.fmt(f),
            Self::Connect => f.write_str("connect"),
            Self::Reset => f.write_str("reset"),
            Self::Timeout => f.write_str("timeout"),
        }
    }
}

#[cfg(test)]
mod tests {
    use steadfast_base::{Jitter, Seed};

    use super::*;

    #[test]
    fn words_are_read_and_written() {
        for word in ["503", "connect", "reset", "timeout"] {
            assert_eq!(word.parse::<RetryOn>().map(|r| r.to_string()).as_deref(), Ok(word));
        }
        for word in ["", "99", "600", "Timeout", "5xx"] {
            assert!(word.parse::<RetryOn>().is_err(), "{word}");
        }
    }

    #[test]
    fn only_what_is_listed_is_repeated_and_only_so_often() {
        let policy = RetryPolicy {
            max: 2,
            on: vec![RetryOn::Status(503), RetryOn::Connect],
            backoff: Backoff { jitter: Jitter::None, ..Backoff::default() },
        };
        let mut rng = Seed::new(1).rng();
        let mut wait = |repetition, result, after| policy.wait(repetition, result, after, &mut rng);
        let busy = CommandResult::Failed { status: 503 };
        assert_eq!(wait(0, busy, None), Some(Duration::from_millis(50)));
        assert_eq!(wait(0, busy, Some(Duration::from_secs(1))), Some(Duration::from_secs(1)));
        assert_eq!(wait(0, busy, Some(Duration::from_secs(60))), Some(Duration::from_secs(2)));
        assert_eq!(wait(2, busy, None), None);
        assert!(wait(1, CommandResult::ConnectFailed, None).is_some());
        assert_eq!(wait(0, CommandResult::ConnectionLost, None), None);
        assert_eq!(wait(0, CommandResult::Failed { status: 500 }, None), None);
        assert_eq!(wait(0, CommandResult::Succeeded { status: 200 }, None), None);
    }
}
