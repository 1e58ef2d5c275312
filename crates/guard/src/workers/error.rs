//! Why a job was not taken, or has no result.

use steadfast_base::units::Size;
use steadfast_base::{Class, Classify};

/// The pool did not take the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// As many jobs wait as may. Repeating can help later; whoever sends so many is to be slowed down.
    #[error("{queue_max} jobs wait, which is as many as may")]
    QueueFull {
        /// The most jobs that may wait.
        queue_max: usize,
    },
    /// The job needs more than the quota, so it can never run. Raise the quota, or make the job smaller.
    #[error("the job needs {need}, and the quota is {quota}")]
    TooLarge {
        /// What it needs.
        need: Size,
        /// What there is in all.
        quota: Size,
    },
    /// The pool is draining or closed. Repeating cannot help.
    #[error("the pool takes no more jobs")]
    Closed,
}

/// The job has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// It was not taken.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Its deadline passed before it had a result. If it was started it goes on, and its result is dropped; whoever
    /// asked has stopped waiting, so repeating cannot help.
    #[error("the deadline of the job passed")]
    DeadlineExceeded,
    /// It panicked. It is a defect of the job: the same input will most likely panic again.
    #[error("the job panicked: {message}")]
    Panicked {
        /// What it said.
        message: Box<str>,
    },
    /// It was cancelled while it waited.
    #[error("the job was cancelled")]
    Cancelled,
    /// It was not started, since the time for draining was up or the pool was dropped. It did nothing, so it can be
    /// repeated elsewhere.
    #[error("the job was not started before the pool closed")]
    NotStarted,
    /// The operating system gave no thread for it. It did nothing; repeating can help once the system has fewer.
    #[error("no thread could be started for the job")]
    NoThread,
}

impl Classify for Refused {
    fn classify(&self) -> Class {
        match self {
            Self::QueueFull { .. } => Class::Transient,
            Self::TooLarge { .. } | Self::Closed => Class::Permanent,
        }
    }
}

impl Classify for JobError {
    fn classify(&self) -> Class {
        match self {
            Self::Refused(refused) => refused.classify(),
            Self::DeadlineExceeded | Self::Panicked { .. } | Self::Cancelled => Class::Permanent,
            Self::NotStarted | Self::NoThread => Class::Transient,
        }
    }
}
