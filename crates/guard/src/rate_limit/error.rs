//! Why a limiter refuses.

use std::time::Duration;

use steadfast_base::{Class, Classify};

use super::Quota;

/// The reason for which a limiter refused permits. Nothing was sent and nothing was taken from the quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The quota is used up. The same call conforms after `retry_after`, if nobody takes its place.
    #[error("rate limit of {quota} exceeded, retry after {retry_after:?}")]
    Limited {
        /// The quota that is used up; an operator raises it by `set_quota`.
        quota: Quota,
        /// The time until the call would conform.
        retry_after: Duration,
    },
    /// More was asked for at a time than the quota ever lets through at a time. Asking again cannot help: ask for
    /// less, or raise the burst.
    #[error("{permits} permits at a time are more than the burst of {burst}")]
    ExceedsBurst {
        /// How many permits were asked for.
        permits: u32,
        /// The most that conform at a time.
        burst: u32,
    },
}

impl Classify for Error {
    fn classify(&self) -> Class {
        match self {
            Self::Limited { .. } => Class::Transient,
            Self::ExceedsBurst { .. } => Class::Permanent,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Limited { retry_after, .. } => Some(*retry_after),
            Self::ExceedsBurst { .. } => None,
        }
    }
}
