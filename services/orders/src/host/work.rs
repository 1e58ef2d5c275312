use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use steadfast::core::store;
use steadfast::guard::{Scope, ScopePolicy};
use tokio::sync::Semaphore;
use tonic::Status;

use crate::orders::domain::Invalid;

/// How long commands and tasks have to end when the program stops; then they are aborted and named.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Commands that run to their end although their caller may go away, at most so many at once.
#[derive(Debug, Clone)]
pub struct Work {
    scope: Scope,
    slots: Arc<Semaphore>,
}

/// As many commands as may run are running, or the program is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many commands at once")]
pub struct Overloaded;

impl Work {
    /// Makes room for `commands_max` commands.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(commands_max: usize) -> Self {
        // Commands are counted here, and tasks by whoever records what they do.
        let policy = ScopePolicy { tasks_max: usize::MAX, ..ScopePolicy::default() };
        Self { scope: Scope::new("work", policy), slots: Arc::new(Semaphore::new(commands_max)) }
    }

    /// Returns the owner of all of them, for metrics.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Runs `command` and returns its result.
    ///
    /// # Errors
    /// [`Overloaded`], at once; the command has not begun then.
    ///
    /// # Panics
    /// The command did, or was aborted since the program stopped.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the command.
    pub async fn finish<T: Send + 'static>(
        &self,
        command: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Overloaded> {
        let slot = Arc::clone(&self.slots).try_acquire_owned().map_err(|_| Overloaded)?;
        let task = self.scope.spawn_until_closed("command", async move {
            let _slot = slot;
            command.await
        });
        match task.map_err(|_| Overloaded)?.await {
            Ok(result) => Ok(result),
            Err(error) => std::panic::resume_unwind(Box::new(error.to_string())),
        }
    }

    /// Runs `task` without anybody waiting for it, and without counting it. A program that is stopping does not start
    /// it.
    #[track_caller]
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        if let Err(refused) = self.scope.spawn_until_closed(name, task) {
            tracing::warn!(name, %refused, "a task was not started");
        }
    }

    /// Refuses further commands and waits for those that run; those that do not end are aborted, and named in the log.
    pub async fn close(&self) {
        self.slots.close();
        // It has been logged.
        let _ = self.scope.close(CLOSE_WITHIN).await;
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
