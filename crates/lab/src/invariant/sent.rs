use std::sync::Arc;
use std::time::Duration;

/// A command that the load sent, with what came of it. Times are since the start of the load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentCommand {
    /// The step's name.
    pub step: Arc<str>,
    /// The idempotency key, by which the system's log names the command.
    pub command_id: String,
    /// The key of the data that the command is about, where it is known.
    pub key: Option<String>,
    /// What the system said of it.
    pub acknowledgement: Acknowledgement,
    /// When its first attempt was sent.
    pub sent_at: Duration,
    /// When its last attempt ended.
    pub finished_at: Duration,
}

/// What the system said of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Acknowledgement {
    /// Done: it must be there exactly once.
    Acknowledged,
    /// Not done, and it will not be: it must not be there.
    Refused,
    /// Nothing, or that it does not know: it may be there once.
    Unknown,
}
