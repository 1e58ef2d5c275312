//! Why a task was not started, or ended without a result.

use steadfast_base::{Class, Classify};

/// The scope did not start the task; its future was dropped without having run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The scope is closing or closed. Repeating cannot help.
    #[error("the scope is closed")]
    Closed,
    /// As many tasks are alive as the scope may have. Repeating can help once some have ended; if the count never
    /// goes down, look at the scope's leak report.
    #[error("the scope has {tasks_max} tasks, which is as many as it may have")]
    Full {
        /// The most tasks that it may have.
        tasks_max: usize,
    },
}

/// A task ended without a result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// It panicked. It is a defect of the task: the same input will most likely panic again.
    #[error("the task panicked: {message}")]
    Panicked {
        /// What it said.
        message: Box<str>,
    },
    /// Its deadline passed, and it was dropped. Whoever asked has stopped waiting, so repeating cannot help.
    #[error("the task was dropped at its deadline")]
    DeadlineExceeded,
    /// It was cancelled, by its handle or since its scope was closed or dropped. Another process can do it.
    #[error("the task was cancelled")]
    Cancelled,
}

impl Classify for Refused {
    fn classify(&self) -> Class {
        match self {
            Self::Closed => Class::Permanent,
            Self::Full { .. } => Class::Transient,
        }
    }
}

impl Classify for TaskError {
    fn classify(&self) -> Class {
        match self {
            Self::Panicked { .. } | Self::DeadlineExceeded => Class::Permanent,
            Self::Cancelled => Class::Transient,
        }
    }
}

/// Returns what a panic said.
pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> Box<str> {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it did not say why").into()
}
