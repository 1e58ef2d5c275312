use std::future::Future;
use std::sync::Arc;

use steadfast::core::store;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tonic::Status;

use crate::orders::domain::Invalid;

/// Commands that run to their end although their caller may go away, at most so many at once.
#[derive(Debug, Clone)]
pub struct Work {
    tracker: TaskTracker,
    slots: Arc<Semaphore>,
}

/// As many commands as may run are running, or the program is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many commands at once")]
pub struct Overloaded;

impl Work {
    /// Makes room for `commands_max` commands.
    pub fn new(commands_max: usize) -> Self {
        Self { tracker: TaskTracker::new(), slots: Arc::new(Semaphore::new(commands_max)) }
    }

    /// Runs `command` and returns its result.
    ///
    /// # Errors
    /// [`Overloaded`], at once; the command has not begun then.
    ///
    /// # Panics
    /// The command did.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the command.
    pub async fn finish<T: Send + 'static>(
        &self,
        command: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Overloaded> {
        let slot = Arc::clone(&self.slots).try_acquire_owned().map_err(|_| Overloaded)?;
        let task = self.tracker.spawn(async move {
            let _slot = slot;
            command.await
        });
        match task.await {
            Ok(result) => Ok(result),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Runs `task` without anybody waiting for it, and without counting it.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(task);
    }

    /// Refuses further commands and waits for those that run.
    pub async fn close(&self) {
        self.slots.close();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

impl From<Overloaded> for Status {
    fn from(overloaded: Overloaded) -> Self {
        Status::resource_exhausted(overloaded.to_string())
    }
}

/// The key that makes a call recognisable: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Key {
    type Error = InvalidKey;

    fn try_from(text: String) -> Result<Self, InvalidKey> {
        let fits = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(text.into())) } else { Err(InvalidKey) }
    }
}

impl From<Key> for Arc<str> {
    fn from(key: Key) -> Self {
        key.0
    }
}

/// The text cannot be a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key must have 1 to 255 visible ASCII characters")]
pub struct InvalidKey;

impl From<InvalidKey> for Status {
    fn from(invalid: InvalidKey) -> Self {
        Status::invalid_argument(invalid.to_string())
    }
}

impl From<Invalid> for Status {
    fn from(invalid: Invalid) -> Self {
        Status::invalid_argument(invalid.to_string())
    }
}

/// Says in gRPC's words why the store did not take a command.
pub fn store_status(error: &store::Error) -> Status {
    tracing::warn!(%error, "the log refused a command");
    match error {
        store::Error::Overloaded => Status::resource_exhausted(error.to_string()),
        // What the log's state is nobody outside needs to know; another instance, or a restart, may help.
        _ => Status::unavailable("the event log takes no more events"),
    }
}
