//! What a pool is to know of a job.

use steadfast_base::Deadline;
use steadfast_base::units::Size;

/// A job as it is asked for: its name, what memory it needs, how urgent it is.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_base::{Deadline, units::Size};
/// use steadfast_guard::workers::{Job, Priority};
///
/// let job = Job::new("thumbnail")
///     .needs(Size::from_mebibytes(24))
///     .priority(Priority::High)
///     .deadline(Deadline::within(Duration::from_secs(30)));
/// assert_eq!(job.name(), "thumbnail");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Job {
    pub(super) name: &'static str,
    pub(super) need: Option<Size>,
    pub(super) priority: Priority,
    pub(super) deadline: Option<Deadline>,
}

/// How urgent a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// After the others, but not never.
    Low,
    /// The usual.
    #[default]
    Normal,
    /// Before the others.
    High,
}

impl Job {
    /// Describes a job by its name, which is the same for all jobs of a kind. Its size is learned: the first of a name
    /// runs alone and is watched, those after it reserve a quarter more than what it took, or what jobs of the name
    /// report ([`Grant::report`](super::Grant::report)).
    pub fn new(name: &'static str) -> Self {
        Self { name, need: None, priority: Priority::default(), deadline: None }
    }

    /// Declares the most memory that the job has at a time.
    pub fn needs(self, bytes: Size) -> Self {
        Self { need: Some(bytes), ..self }
    }

    /// Says how urgent it is.
    pub fn priority(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }

    /// Sets the time until which its result is of use. A job that is not started by then never is; one that runs is
    /// told by [`Grant::is_cancelled`](super::Grant::is_cancelled).
    pub fn deadline(self, deadline: Deadline) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// Returns the name.
    pub fn name(&self) -> &'static str {
        self.name
    }
}
