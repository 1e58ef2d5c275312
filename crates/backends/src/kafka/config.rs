use std::time::Duration;

use krafka::auth::{AuthConfig, TlsConfig};
use serde::Deserialize;
use steadfast_base::Seed;
use steadfast_base::units::HumanDuration;
use steadfast_core::store::Durability;
use steadfast_core::transport::{Capabilities, Error, Ordering};

use super::SYSTEM;
use crate::{Secret, Tls};

/// The longest that a receiver may keep a partition; two such waits are less than `max.poll.interval.ms`, 5 min.
const HAND_OVER_MAX: Duration = Duration::from_secs(120);

/// Where the brokers are and which topic events lie in.
///
/// # Examples
/// ```
/// use steadfast_backends::kafka::Config;
///
/// let config: Config = serde_json::from_str(
///     r#"{"brokers": ["a.internal:9093", "b.internal:9093"], "topic": "orders", "tls": {},
///         "sasl": {"mechanism": "scramSha512", "username": "orders", "password": "hunter2"},
///         "replicasMin": 2, "connectWithin": "5s"}"#,
/// )?;
/// assert_eq!(config.replicas_min, 2);
/// assert!(!format!("{config:?}").contains("hunter2"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// Hosts and ports of some brokers; the others are learned from them.
    pub brokers: Vec<String>,
    /// The topic.
    pub topic: String,
    /// The name under which the brokers know this client, in their logs and quotas.
    pub client_id: String,
    /// TLS; none is a connection in the clear.
    pub tls: Option<Tls>,
    /// How the client proves who it is, if the brokers ask.
    pub sasl: Option<Sasl>,
    /// Creates the topic if it is not there; without it a missing topic is an error.
    pub create: Option<Create>,
    /// The topic's `min.insync.replicas`, at least 1. With 2 or more, sending achieves
    /// [`Durability::Replicated`]; each connection checks that the topic is set so and has as many replicas, which
    /// needs the permission to describe its configuration.
    pub replicas_min: u16,
    /// The largest data and attributes of one event in bytes, 1 KiB to 100 MiB; not above the topic's
    /// `max.message.bytes`.
    pub event_bytes_max: u32,
    /// How long an answer may take before the connection is taken for lost, at least 100 ms.
    pub answer_within: HumanDuration,
    /// How long opening a receiver waits for its first connection.
    pub connect_within: HumanDuration,
    /// How long a partition that moves to another receiver waits for its events to be settled; at most two minutes, for
    /// brokers take a receiver that looks after nothing else for dead.
    pub hand_over_within: HumanDuration,
    /// What the jitter of reconnecting is drawn from; none draws it from the operating system.
    pub seed: Option<u64>,
}

/// Who the client is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Sasl {
    /// How that is proven.
    pub mechanism: Mechanism,
    /// The user.
    pub username: String,
    /// The user's password.
    pub password: Secret,
}

/// A way to prove who the client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Mechanism {
    /// `PLAIN`: sends the password; use it with TLS only.
    Plain,
    /// `SCRAM-SHA-256`.
    ScramSha256,
    /// `SCRAM-SHA-512`.
    ScramSha512,
}

/// How a topic is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Create {
    /// How many partitions it has, at least 1: at most so many receivers of a group work at the same time.
    pub partitions: u16,
    /// How many brokers keep each of them, at least 1.
    pub replicas: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            brokers: vec!["127.0.0.1:9092".to_owned()],
            topic: "events".to_owned(),
            client_id: "steadfast".to_owned(),
            tls: None,
            sasl: None,
            create: None,
            replicas_min: 1,
            event_bytes_max: 1_000_000,
            answer_within: HumanDuration(Duration::from_secs(5)),
            connect_within: HumanDuration(Duration::from_secs(10)),
            hand_over_within: HumanDuration(Duration::from_secs(5)),
            seed: None,
        }
    }
}

impl Config {
    pub(super) fn check(&self) -> Result<(), Error> {
        let wrong = |field, problem: &str| Err(misconfigured(field, problem));
        if self.brokers.is_empty() {
            return wrong("brokers", "name at least one");
        }
        if self.topic.is_empty() {
            return wrong("topic", "give it a name");
        }
        if self.create.is_some_and(|create| create.partitions == 0 || create.replicas == 0) {
            return wrong("create", "choose at least 1 partition and 1 replica");
        }
        if self.replicas_min == 0 {
            return wrong("replicasMin", "choose at least 1");
        }
        if !(1024..=100 << 20).contains(&self.event_bytes_max) {
            return wrong("eventBytesMax", "choose 1 KiB to 100 MiB");
        }
        if self.answer_within.0 < Duration::from_millis(100) {
            return wrong("answerWithin", "choose at least 100ms");
        }
        if self.hand_over_within.0 > HAND_OVER_MAX {
            return wrong("handOverWithin", "choose at most 2m");
        }
        match &self.tls {
            Some(tls) if tls.certificate.is_some() != tls.key.is_some() => {
                wrong("tls", "give both certificate and key, or neither")
            }
            _ => Ok(()),
        }
    }

    pub(super) fn capabilities(&self) -> Capabilities {
        let durability = if self.replicas_min >= 2 { Durability::Replicated } else { Durability::Written };
        Capabilities::new(Ordering::PerKey, durability).groups().seek().resumes()
    }

    pub(super) fn seed(&self) -> Seed {
        self.seed.map_or_else(Seed::random, Seed::new)
    }

    /// Returns what the driver needs to prove who we are, and to know who the other side is.
    pub(super) fn security(&self) -> AuthConfig {
        let tls = self.tls.as_ref().map(|tls| {
            let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
            let mut config = TlsConfig::new();
            if let Some(authority) = &tls.authority {
                config = config.with_ca_cert(path(authority));
            }
            match (&tls.certificate, &tls.key) {
                (Some(certificate), Some(key)) => config.with_client_cert(path(certificate), path(key)),
                _ => config,
            }
        });
        let sasl = self.sasl.as_ref().map(|Sasl { mechanism, username, password }| match mechanism {
            Mechanism::Plain => AuthConfig::sasl_plain(username, password.reveal()),
            Mechanism::ScramSha256 => AuthConfig::sasl_scram_sha256(username, password.reveal()),
            Mechanism::ScramSha512 => AuthConfig::sasl_scram_sha512(username, password.reveal()),
        });
        match (sasl, tls) {
            (Some(sasl), Some(tls)) => sasl.with_tls(tls),
            (Some(sasl), None) => sasl,
            (None, Some(tls)) => AuthConfig::ssl(tls),
            (None, None) => AuthConfig::plaintext(),
        }
    }
}

pub(super) fn misconfigured(field: &'static str, problem: &str) -> Error {
    Error::Configuration { system: SYSTEM, field, problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_field_is_named() {
        let wrong: [(&str, Config); 6] = [
            ("brokers", Config { brokers: Vec::new(), ..Config::default() }),
            ("topic", Config { topic: String::new(), ..Config::default() }),
            ("create", Config { create: Some(Create { partitions: 0, replicas: 1 }), ..Config::default() }),
            ("replicasMin", Config { replicas_min: 0, ..Config::default() }),
            ("eventBytesMax", Config { event_bytes_max: 0, ..Config::default() }),
            (
                "tls",
                Config { tls: Some(Tls { key: Some("k".into()), ..Tls::default() }), ..Config::default() },
            ),
        ];
        for (name, config) in wrong {
            let checked = config.check();
            assert!(
                matches!(&checked, Err(Error::Configuration { field, .. }) if *field == name),
                "{checked:?}"
            );
        }
        assert!(Config::default().check().is_ok());
    }

    #[test]
    fn durability_is_what_replicas_allow() {
        let max = |replicas_min| Config { replicas_min, ..Config::default() }.capabilities().durability_max;
        assert_eq!((max(1), max(2)), (Durability::Written, Durability::Replicated));
    }
}
