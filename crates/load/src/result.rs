use std::borrow::Cow;
use std::fmt;

/// How a command ended, after all its attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CommandResult {
    /// An answer that the step counts as success: the command is acknowledged.
    Succeeded {
        /// The HTTP status.
        status: u16,
    },
    /// Another answer below 500: the server says that it did not do it.
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// An answer of 500 or more: whether the command took effect is unknown.
    Failed {
        /// The HTTP status.
        status: u16,
    },
    /// No complete answer within the step's timeout.
    TimedOut,
    /// No connection could be made, so that the last attempt did not reach the server.
    ConnectFailed,
    /// The connection ended before the answer was complete.
    ConnectionLost,
    /// What came back is not HTTP/1.1.
    Garbled,
    /// The run ended before the answer came.
    Abandoned,
    /// The last attempt was not sent, for reasons of the generator: no connection or file descriptor was free in
    /// time, or the request could not be formed from what was captured.
    Unsent,
}

impl CommandResult {
    /// Says whether the command succeeded.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Succeeded { .. })
    }

    /// Says whether the server acknowledged the command, so that its effect must be there exactly once.
    pub fn is_acknowledged(self) -> bool {
        self.is_success()
    }

    /// Says whether an attempt that ended like this may have taken effect, or not: the answer is missing, or it is
    /// 500 or more. For all attempts of a command see [`Command::is_unknown`](crate::Command::is_unknown).
    pub fn is_unknown(self) -> bool {
        match self {
            Self::Failed { .. } | Self::TimedOut | Self::ConnectionLost | Self::Garbled | Self::Abandoned => {
                true
            }
            Self::Succeeded { .. } | Self::Refused { .. } | Self::ConnectFailed | Self::Unsent => false,
        }
    }

    /// Returns the status of the answer, where there was one.
    pub fn status(self) -> Option<u16> {
        match self {
            Self::Succeeded { status } | Self::Refused { status } | Self::Failed { status } => Some(status),
            _ => None,
        }
    }

    /// Returns the result in words for a table of causes: `status 503`, `timeout`, `connect`, `reset`, `garbled`,
    /// `abandoned` or `unsent`.
    pub fn cause(self) -> Cow<'static, str> {
        match self {
            Self::Succeeded { status } | Self::Refused { status } | Self::Failed { status } => {
                format!("status {status}").into()
            }
            Self::TimedOut => "timeout".into(),
            Self::ConnectFailed => "connect".into(),
            Self::ConnectionLost => "reset".into(),
            Self::Garbled => "garbled".into(),
            Self::Abandoned => "abandoned".into(),
            Self::Unsent => "unsent".into(),
        }
    }
}

impl fmt::Display for CommandResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause())
    }
}
