use std::sync::Arc;

use steadfast_base::Deadline;
use tokio::sync::watch;

use super::{Done, Error, ProcessManager, StepError};

/// How a process ended.
pub enum Ended<P: ProcessManager> {
    /// All steps were done; here with what they returned.
    Completed(Vec<Done<P::Step, P::Output>>),
    /// A step was refused, or was given up since it stayed unknown or could not be sent; all others are undone.
    Compensated(StepError),
}

/// Whoever waits for a process that runs in the background. Dropping it does not end the process.
pub struct Handle<P: ProcessManager> {
    id: Arc<str>,
    status: watch::Receiver<Status<P>>,
}

/// Where a process stands for those who wait.
pub(super) enum Status<P: ProcessManager> {
    /// Its begin is not recorded yet.
    Starting,
    Running,
    Ended(Ended<P>),
    Failed(Error),
}

impl<P: ProcessManager> Handle<P> {
    pub(super) fn new(id: Arc<str>, status: watch::Receiver<Status<P>>) -> Self {
        Self { id, status }
    }

    /// Returns the identity of the process.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Waits until the process has ended.
    ///
    /// # Errors
    /// The process is not driven on: [`Error::Closed`], [`Error::Store`] or [`Error::Undecodable`].
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing; the process goes on.
    pub async fn ended(&mut self) -> Result<Ended<P>, Error> {
        self.reached(|status| matches!(status, Status::Ended(_))).await?;
        match &*self.status.borrow() {
            Status::Ended(ended) => Ok(ended.clone()),
            _ => Err(Error::Closed),
        }
    }

    /// Waits until the process has ended, but not beyond `deadline`: none then, and the process goes on.
    ///
    /// # Errors
    /// As [`ended`](Self::ended).
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing; the process goes on.
    pub async fn ended_within(&mut self, deadline: Deadline) -> Result<Option<Ended<P>>, Error> {
        tokio::time::timeout_at(deadline.instant(), self.ended()).await.ok().transpose()
    }

    pub(super) async fn started(&mut self) -> Result<(), Error> {
        self.reached(|status| !matches!(status, Status::Starting)).await
    }

    async fn reached(&mut self, reached: fn(&Status<P>) -> bool) -> Result<(), Error> {
        let status =
            self.status.wait_for(|status| reached(status) || matches!(status, Status::Failed(_))).await;
        match status.as_deref() {
            Ok(Status::Failed(error)) => Err(error.clone()),
            Ok(_) => Ok(()),
            // The task was dropped by its driver.
            Err(_) => Err(Error::Closed),
        }
    }
}

impl<P: ProcessManager> Clone for Handle<P> {
    fn clone(&self) -> Self {
        Self { id: Arc::clone(&self.id), status: self.status.clone() }
    }
}

impl<P: ProcessManager> Clone for Ended<P> {
    fn clone(&self) -> Self {
        match self {
            Self::Completed(done) => Self::Completed(done.clone()),
            Self::Compensated(cause) => Self::Compensated(cause.clone()),
        }
    }
}

impl<P: ProcessManager> std::fmt::Debug for Ended<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Completed(done) => f.debug_tuple("Completed").field(done).finish(),
            Self::Compensated(cause) => f.debug_tuple("Compensated").field(cause).finish(),
        }
    }
}

impl<P: ProcessManager> std::fmt::Debug for Handle<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("id", &self.id).finish_non_exhaustive()
    }
}
