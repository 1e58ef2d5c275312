use std::time::Duration;

use serde::Deserialize;
use steadfast_base::units::HumanDuration;
use steadfast_core::store::Durability;
use steadfast_core::transport::{Capabilities, Error, Ordering};

use super::{SYSTEM, names};
use crate::{Secret, Tls};

/// Where the server is and how events lie in it. Source and sink of one stream need the same `stream` and `shards`.
///
/// # Examples
/// ```
/// use steadfast_backends::redis::{Config, Persistence};
///
/// let config: Config = serde_json::from_str(
///     r#"{"address": "redis.internal:6379", "stream": "orders", "password": "hunter2",
///         "persistence": "appendFsyncAlways", "lease": "5s"}"#,
/// )?;
/// assert_eq!(config.persistence, Persistence::AppendFsyncAlways);
/// assert!(!format!("{config:?}").contains("hunter2"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// Host and port.
    pub address: String,
    /// The number of the database.
    pub database: u16,
    /// The user, if not the default one.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// TLS; none is a connection in the clear.
    pub tls: Option<Tls>,
    /// The name that every key begins with.
    pub stream: String,
    /// Over how many Redis streams the keys are spread, 1 to 1024; at most so many receivers of a group work at the
    /// same time. It stays as it is once the stream exists. With 1 all events are in one order, and one receiver of a
    /// group works while the others stand by.
    pub shards: u32,
    /// How many events one shard holds, at least 1.
    pub length_max: u64,
    /// What happens when a shard is full.
    pub when_full: WhenFull,
    /// What the server is set to keep, checked at each connection.
    pub persistence: Persistence,
    /// How long the identities of events that were sent are remembered, so that sending one again stores it once; it
    /// costs the server about 150 bytes an event. Zero remembers none.
    pub remember_ids: HumanDuration,
    /// How long a receiver that has died keeps its shards, at least 100 ms: its events are abandoned after that, and
    /// claimed by another.
    pub lease: HumanDuration,
    /// How long an answer may take before the connection is taken for lost.
    pub answer_within: HumanDuration,
    /// How long opening a receiver waits for its first connection.
    pub connect_within: HumanDuration,
    /// What the jitter of reconnecting is drawn from; none draws it from the operating system.
    pub seed: Option<u64>,
}

/// What a full shard does with the next event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WhenFull {
    /// Deletes what every group has handled; where that frees nothing, sending waits. Nothing is lost.
    #[default]
    Wait,
    /// Deletes the oldest, handled or not.
    Forget,
}

/// What the server is set to keep, which decides what sending and appending can promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Persistence {
    /// Whatever it is. A transport promises nothing then, [`Durability::Accepted`], which is the honest word for
    /// `appendfsync everysec`, for that may answer before it has written. A [store](super::store) asks the server.
    #[default]
    Unknown,
    /// `appendonly yes` and `appendfsync always` on Redis 7.0.3 or later: [`Durability::Durable`]. It is checked by
    /// `CONFIG GET`, which the server must allow to a transport; a store takes your word for it where it is forbidden,
    /// and, where `BGREWRITEAOF` is forbidden too, for `aof-load-truncated no`.
    AppendFsyncAlways,
    /// `appendonly yes` and `appendfsync everysec` on Redis 8.0 or later, asked by `WAITAOF` to sync when durability is
    /// asked for: [`Durability::Durable`]. Others that know the command are refused, for they answer it too early. Where
    /// `CONFIG` and `BGREWRITEAOF` are forbidden, it says that there is `aof-load-truncated no`, too.
    WaitAof,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:6379".to_owned(),
            database: 0,
            username: None,
            password: None,
            tls: None,
            stream: "events".to_owned(),
            shards: 16,
            length_max: 100_000,
            when_full: WhenFull::Wait,
            persistence: Persistence::Unknown,
            remember_ids: HumanDuration(Duration::ZERO),
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
        if !(1..=names::SHARDS_MAX).contains(&self.shards) {
            return wrong("shards", "choose 1 to 1024");
        }
        if self.stream.is_empty() {
            return wrong("stream", "give it a name");
        }
        if self.length_max == 0 {
            return wrong("lengthMax", "choose at least 1");
        }
        if self.lease.0 < Duration::from_millis(100) {
            return wrong("lease", "choose at least 100ms");
        }
        if self.answer_within.0.is_zero() {
            return wrong("answerWithin", "choose more than zero");
        }
        Ok(())
    }

    pub(super) fn capabilities(&self) -> Capabilities {
        let order = if self.shards == 1 { Ordering::Total } else { Ordering::PerKey };
        let durability = match self.persistence {
            Persistence::Unknown => Durability::Accepted,
            Persistence::AppendFsyncAlways | Persistence::WaitAof => Durability::Durable,
        };
        let mut capabilities = Capabilities::new(order, durability).seek().resumes();
        if self.shards > 1 {
            capabilities = capabilities.groups();
        }
        if self.remember_ids.0.is_zero() { capabilities } else { capabilities.deduplicates() }
    }
}
