use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use steadfast_base::units::HumanDuration;
use steadfast_core::store::Durability;
use steadfast_core::transport::{Capabilities, Error, Ordering};

use super::SYSTEM;
use crate::{Secret, Tls};

pub(super) const SHARDS_MAX: u32 = 1024;

/// Where the server is and how events lie in it. Source and sink of one stream need the same `stream` and `shards`.
///
/// # Examples
/// ```
/// use steadfast_backends::nats::{Config, SyncInterval};
///
/// let config: Config = serde_json::from_str(
///     r#"{"address": "nats.internal:4222", "stream": "orders", "token": "hunter2", "sync": "always"}"#,
/// )?;
/// assert_eq!(config.sync, SyncInterval::Always);
/// assert!(!format!("{config:?}").contains("hunter2"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// Host and port; several servers of a cluster with commas between.
    pub address: String,
    /// The user, with `password`.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// A token instead of a user.
    pub token: Option<Secret>,
    /// The seed of an NKEY instead of a user, which begins with `SU`: it signs what the server asks, and stays here.
    pub nkey: Option<Secret>,
    /// A file of credentials instead of a user, as `nsc` writes it: a JWT and its NKEY. It is read when the first
    /// connection is made.
    pub credentials: Option<PathBuf>,
    /// TLS; none is a connection in the clear, unless the server wants it.
    pub tls: Option<Tls>,
    /// The name of the stream and the first word of its subjects: letters, digits, `-` and `_`. It is made if it is not
    /// there.
    pub stream: String,
    /// Over how many subjects the keys are spread, 1 to 1024; at most so many receivers of a group work at the same
    /// time. It stays as it is once the stream exists. With 1 all events are in one order, and one receiver of a group
    /// works while the others stand by.
    pub shards: u32,
    /// How many events the stream holds, at least 1. Used where the stream is made.
    pub length_max: u32,
    /// What happens when it is full. Used where the stream is made.
    pub when_full: WhenFull,
    /// When the server syncs, which no client can ask.
    pub sync: SyncInterval,
    /// On how many servers of a cluster the stream is kept, 1 to 5. Used where the stream is made.
    pub replicas: u8,
    /// How long identities of events are remembered, so that sending one again stores it once. Used where the stream
    /// is made.
    pub remember_ids: HumanDuration,
    /// How long a receiver that has died keeps its shards and what it was given, at least 500 ms: after that another
    /// gets them. Used for the latter where the group is made.
    pub lease: HumanDuration,
    /// How long an answer may take.
    pub answer_within: HumanDuration,
    /// How long opening a receiver waits for its first connection.
    pub connect_within: HumanDuration,
    /// What the jitter of reconnecting is drawn from; none draws it from the operating system.
    pub seed: Option<u64>,
}

/// What a full stream does with the next event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WhenFull {
    /// Deletes what every group has handled; where that frees nothing, sending waits. Nothing is lost.
    #[default]
    Wait,
    /// Deletes the oldest, handled or not.
    Forget,
}

/// When the server syncs what it has stored: its setting `sync_interval`, by the word of whoever configures it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SyncInterval {
    /// Now and then, two minutes by default: [`Durability::Written`].
    #[default]
    Lazy,
    /// `sync_interval: always`, before it acknowledges: [`Durability::Durable`].
    ///
    /// Messages are deleted where a stream is full, or a stream of events is deleted, and the server then rewrites its
    /// files. It does so without syncing them, so that the loss of power may take other messages with it, up to the
    /// releases with <https://github.com/nats-io/nats-server/pull/8475> and
    /// <https://github.com/nats-io/nats-server/pull/8629> (September 2026); before
    /// <https://github.com/nats-io/nats-server/pull/7627> (December 2025) a kill may, too. Choose one that has them.
    Always,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:4222".to_owned(),
            username: None,
            password: None,
            token: None,
            nkey: None,
            credentials: None,
            tls: None,
            stream: "events".to_owned(),
            shards: 16,
            length_max: 1_000_000,
            when_full: WhenFull::Wait,
            sync: SyncInterval::Lazy,
            replicas: 1,
            remember_ids: HumanDuration(Duration::from_secs(120)),
            lease: HumanDuration(Duration::from_secs(10)),
            answer_within: HumanDuration(Duration::from_secs(5)),
            connect_within: HumanDuration(Duration::from_secs(10)),
            seed: None,
        }
    }
}

impl Config {
    pub(super) fn check(&self) -> Result<(), Error> {
        let wrong = |field, problem: &str| {
            Err(Error::Configuration { system: SYSTEM, field, problem: problem.to_owned() })
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.stream.is_empty() || !self.stream.chars().all(is_plain) {
            return wrong("stream", "give it a name of letters, digits, `-` and `_`");
        }
        if !(1..=SHARDS_MAX).contains(&self.shards) {
            return wrong("shards", "choose 1 to 1024");
        }
        if self.length_max == 0 {
            return wrong("lengthMax", "choose at least 1");
        }
        if !(1..=5).contains(&self.replicas) {
            return wrong("replicas", "choose 1 to 5");
        }
        if self.remember_ids.0 < Duration::from_millis(100) {
            return wrong("rememberIds", "choose at least 100ms");
        }
        if self.lease.0 < Duration::from_millis(500) {
            return wrong("lease", "choose at least 500ms");
        }
        if self.answer_within.0.is_zero() {
            return wrong("answerWithin", "choose more than zero");
        }
        Ok(())
    }

    pub(super) fn capabilities(&self) -> Capabilities {
        let order = if self.shards == 1 { Ordering::Total } else { Ordering::PerKey };
        let durability = match self.sync {
            SyncInterval::Lazy => Durability::Written,
            SyncInterval::Always => Durability::Durable,
        };
        let capabilities = Capabilities::new(order, durability).seek().resumes().deduplicates();
        if self.shards > 1 { capabilities.groups() } else { capabilities }
    }

    /// Returns the subject of a shard.
    pub(super) fn subject(&self, shard: u32) -> String {
        format!("{}.{shard}", self.stream)
    }

    /// Returns where messages go that are no events.
    pub(super) fn refused(&self) -> String {
        format!("{}.refused", self.stream)
    }
}
