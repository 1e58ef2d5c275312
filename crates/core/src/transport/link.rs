use std::sync::Arc;

use tokio::sync::watch;

/// How the connection of a receiver or a sink stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Link {
    /// No connection has been made yet.
    Connecting,
    /// Connected.
    Up,
    /// The connection is lost and is being made again.
    Down {
        /// How many attempts to make it again have failed.
        attempts: u32,
        /// What the last attempt failed with; it holds no credential.
        reason: Arc<str>,
    },
    /// Closed by its user.
    Closed,
}

/// Watches a [`Link`].
pub type LinkState = watch::Receiver<Link>;

/// Makes a link that is [`Link::Connecting`], and what watches it.
pub fn link() -> (watch::Sender<Link>, LinkState) {
    watch::channel(Link::Connecting)
}
