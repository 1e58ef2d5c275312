use std::str::FromStr;
use std::sync::Arc;

use anyhow::Context;
use steadfast::core::transport::{Sink, Source};

/// The name that a broker keeps notices by, if the URL gives none.
#[cfg(any(feature = "redis", feature = "nats", feature = "kafka"))]
const TOPIC: &str = "shipments";

/// What carries shipments to where notices are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// The tail of the log, within the process.
    Log,
    /// A broker.
    Broker {
        /// Which kind.
        kind: Kind,
        /// Its host and port.
        address: String,
    },
}

/// A kind of broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Redis Streams, synced at each append.
    Redis,
    /// NATS JetStream.
    Nats,
    /// Apache Kafka.
    Kafka,
}

impl FromStr for Transport {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "log" {
            return Ok(Self::Log);
        }
        let wrong = || format!("`{text}` is neither `log` nor redis://, nats:// or kafka:// with HOST:PORT");
        let (scheme, address) = text.split_once("://").ok_or_else(wrong)?;
        let (kind, built) = match scheme {
            "redis" => (Kind::Redis, cfg!(feature = "redis")),
            "nats" => (Kind::Nats, cfg!(feature = "nats")),
            "kafka" => (Kind::Kafka, cfg!(feature = "kafka")),
            _ => return Err(wrong()),
        };
        if !built {
            return Err(format!(
                "this program was built without {scheme}; build it with `--features {scheme}`"
            ));
        }
        let address = address.trim_end_matches('/');
        match address.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>())) {
            Some((host, Ok(_))) if !host.is_empty() => Ok(Self::Broker { kind, address: address.to_owned() }),
            _ => Err(wrong()),
        }
    }
}

/// The two ends of a broker.
pub(super) struct Ends {
    pub(super) sink: Arc<dyn Sink>,
    pub(super) source: Arc<dyn Source>,
}

impl Ends {
    /// Makes the two ends; connections are made later, and made again when they break.
    pub(super) fn new(kind: Kind, address: &str) -> anyhow::Result<Self> {
        match kind {
            Kind::Redis => redis(address),
            Kind::Nats => nats(address),
            Kind::Kafka => kafka(address),
        }
        .with_context(|| format!("notices by {kind:?} at {address}"))
    }
}

#[cfg(feature = "redis")]
fn redis(address: &str) -> anyhow::Result<Ends> {
    use steadfast::backends::redis::{Config, Persistence, RedisSink, RedisSource};

    let config = Config {
        address: address.to_owned(),
        stream: TOPIC.to_owned(),
        persistence: Persistence::AppendFsyncAlways,
        ..Config::default()
    };
    Ok(Ends { sink: Arc::new(RedisSink::new(config.clone())?), source: Arc::new(RedisSource::new(config)?) })
}

#[cfg(feature = "nats")]
fn nats(address: &str) -> anyhow::Result<Ends> {
    use steadfast::backends::nats::{Config, NatsSink, NatsSource};

    let config = Config { address: address.to_owned(), stream: TOPIC.to_owned(), ..Config::default() };
    Ok(Ends { sink: Arc::new(NatsSink::new(config.clone())?), source: Arc::new(NatsSource::new(config)?) })
}

#[cfg(feature = "kafka")]
fn kafka(address: &str) -> anyhow::Result<Ends> {
    use steadfast::backends::kafka::{Config, Create, KafkaSink, KafkaSource};

    let config = Config {
        brokers: vec![address.to_owned()],
        topic: TOPIC.to_owned(),
        create: Some(Create { partitions: 4, replicas: 1 }),
        ..Config::default()
    };
    Ok(Ends { sink: Arc::new(KafkaSink::new(config.clone())?), source: Arc::new(KafkaSource::new(config)?) })
}

#[cfg(not(feature = "redis"))]
fn redis(_: &str) -> anyhow::Result<Ends> {
    absent()
}

#[cfg(not(feature = "nats"))]
fn nats(_: &str) -> anyhow::Result<Ends> {
    absent()
}

#[cfg(not(feature = "kafka"))]
fn kafka(_: &str) -> anyhow::Result<Ends> {
    absent()
}

/// A name of a broker that was not built in is refused when it is read.
#[cfg(not(all(feature = "redis", feature = "nats", feature = "kafka")))]
fn absent() -> anyhow::Result<Ends> {
    anyhow::bail!("it is not built in")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transport_is_read_or_refused_with_what_is_allowed() {
        assert_eq!("log".parse(), Ok(Transport::Log));
        for wrong in ["", "redis", "amqp://host:1"] {
            let error = wrong.parse::<Transport>().expect_err(wrong);
            assert!(error.contains(wrong), "{error}");
        }
        #[cfg(feature = "redis")]
        for wrong in ["redis://", "redis://:1", "redis://host", "redis://host:x"] {
            let error = wrong.parse::<Transport>().expect_err(wrong);
            assert!(error.contains(wrong), "{error}");
        }
        #[cfg(feature = "redis")]
        assert_eq!(
            "redis://127.0.0.1:6379/".parse(),
            Ok(Transport::Broker { kind: Kind::Redis, address: "127.0.0.1:6379".to_owned() })
        );
        #[cfg(not(feature = "redis"))]
        assert!(
            "redis://127.0.0.1:6379"
                .parse::<Transport>()
                .expect_err("not built")
                .contains("--features redis")
        );
    }
}
