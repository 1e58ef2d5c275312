use std::collections::HashMap;

use async_nats::Client;
use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::stream::{self, DiscardPolicy, RetentionPolicy, StorageType, Stream};
use async_nats::jetstream::{Context, kv};
use futures::future::try_join_all;
use steadfast_core::transport::{Error, Start};

use super::{Config, WhenFull, error};

const SHARDS: &str = "steadfast-shards";
/// The fewest messages of one shard that a group may have been given and not acknowledged.
const ACK_PENDING_MIN: usize = 256;

/// The stream of a configuration, on one connection.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) context: Context,
    pub(super) config: Config,
}

impl Place {
    pub(super) fn new(client: &Client, config: &Config) -> Self {
        let mut context = async_nats::jetstream::new(client.clone());
        context.set_timeout(config.answer_within.0);
        Self { context, config: config.clone() }
    }

    /// Makes the stream if it is not there, and checks that it is what the configuration says.
    pub(super) async fn prepare(&self) -> Result<(), Error> {
        let config = &self.config;
        let wanted = stream::Config {
            name: config.stream.clone(),
            subjects: vec![format!("{}.*", config.stream)],
            max_messages: config.length_max.into(),
            discard: match config.when_full {
                WhenFull::Wait => DiscardPolicy::New,
                WhenFull::Forget => DiscardPolicy::Old,
            },
            storage: StorageType::File,
            num_replicas: config.replicas.into(),
            duplicate_window: config.remember_ids.0,
            metadata: HashMap::from([(SHARDS.to_owned(), config.shards.to_string())]),
            ..stream::Config::default()
        };
        let stream = self
            .context
            .get_or_create_stream(wanted)
            .await
            .map_err(|error| error::asked("the stream", error))?;
        let found = &stream.cached_info().config;
        match found.metadata.get(SHARDS) {
            Some(shards) if *shards != config.shards.to_string() => {
                let problem = format!("the stream has {shards}, and keeps them");
                Err(error::configuration("shards", problem))
            }
            _ => self.check(found),
        }
    }

    /// Checks that a stream that somebody else has made keeps what is not handled.
    fn check(&self, found: &stream::Config) -> Result<(), Error> {
        let wrong = |problem: &str| Err(error::configuration("stream", problem));
        let waits = self.config.when_full == WhenFull::Wait;
        if found.storage != StorageType::File {
            return wrong("it is kept in memory; make it with file storage");
        }
        if found.retention != RetentionPolicy::Limits {
            return wrong("it deletes by interest or as a work queue; make it with retention `limits`");
        }
        if !["*", ">"].iter().any(|all| found.subjects.contains(&format!("{}.{all}", self.config.stream))) {
            return wrong(&format!("its subjects are not `{}.*`; add that", self.config.stream));
        }
        if waits && found.discard != DiscardPolicy::New {
            return wrong(
                "full, it deletes events that are not handled; set `discard: new`, or `whenFull: \"forget\"`",
            );
        }
        if waits && !found.max_age.is_zero() {
            return wrong(
                "it deletes events by age that are not handled; set no `max_age`, or `whenFull: \"forget\"`",
            );
        }
        Ok(())
    }

    pub(super) async fn stream(&self) -> Result<Stream<()>, Error> {
        let stream = self.context.get_stream_no_info(&self.config.stream).await;
        stream.map_err(|error| error::asked("the stream", error))
    }

    /// Makes the consumers of a group where they are not there.
    pub(super) async fn join(&self, group: &str, start: Start, in_flight_max: usize) -> Result<(), Error> {
        let stream = self.stream().await?;
        let pending = in_flight_max.max(ACK_PENDING_MIN);
        try_join_all((0..self.config.shards).map(|shard| {
            let stream = &stream;
            async move {
                let name = consumer(group, shard);
                let wanted = pull::Config {
                    durable_name: Some(name.clone()),
                    filter_subject: self.config.subject(shard),
                    deliver_policy: match start {
                        Start::Oldest => DeliverPolicy::All,
                        Start::New => DeliverPolicy::New,
                    },
                    ack_policy: AckPolicy::Explicit,
                    ack_wait: self.config.lease.0,
                    max_ack_pending: i64::try_from(pending).unwrap_or(i64::MAX),
                    ..pull::Config::default()
                };
                let made = stream.get_or_create_consumer(&name, wanted).await;
                made.map(drop).map_err(|error| error::asked("the group", error))
            }
        }))
        .await
        .map(drop)
    }

    /// Opens the bucket that says who has which shard.
    pub(super) async fn bucket(&self) -> Result<kv::Store, Error> {
        let bucket = format!("{}-groups", self.config.stream);
        if let Ok(store) = self.context.get_key_value(&bucket).await {
            return Ok(store);
        }
        let wanted = kv::Config {
            bucket: bucket.clone(),
            history: 1,
            num_replicas: self.config.replicas.into(),
            ..kv::Config::default()
        };
        match self.context.create_key_value(wanted).await {
            Ok(store) => Ok(store),
            // Another receiver was quicker.
            Err(_) => {
                self.context.get_key_value(&bucket).await.map_err(|error| error::asked("the bucket", error))
            }
        }
    }

    /// Returns how a consumer stands.
    pub(super) async fn info(&self, name: &str) -> Result<consumer::Info, Error> {
        let info = self.stream().await?.consumer_info(name).await;
        info.map_err(|error| error::asked("the group", error))
    }

    /// Deletes what every group has handled of one shard; says whether that was anything.
    pub(super) async fn trim(&self, shard: u32) -> Result<bool, Error> {
        use futures::TryStreamExt;
        let stream = self.stream().await?;
        let subject = self.config.subject(shard);
        let mut consumers = stream.consumers();
        let mut handled: Option<u64> = None;
        while let Some(info) =
            consumers.try_next().await.map_err(|error| error::asked("the groups", error))?
        {
            if info.config.filter_subject == subject {
                let floor = info.ack_floor.stream_sequence;
                handled = Some(handled.map_or(floor, |handled| handled.min(floor)));
            }
        }
        let Some(handled) = handled.filter(|handled| *handled > 0) else { return Ok(false) };
        let purged = stream.purge().filter(subject).sequence(handled + 1).await;
        Ok(purged.map_err(|error| error::asked("the stream", error))?.purged > 0)
    }

    /// Deletes the oldest of what is no event and was put aside, but for a tenth of what the stream holds; says whether
    /// that was anything.
    pub(super) async fn trim_refused(&self) -> Result<bool, Error> {
        let keep = u64::from(self.config.length_max / 10);
        let purged = self.stream().await?.purge().filter(self.config.refused()).keep(keep).await;
        Ok(purged.map_err(|error| error::asked("the stream", error))?.purged > 0)
    }
}

/// Returns the name of a group's consumer of one shard.
pub(super) fn consumer(group: &str, shard: u32) -> String {
    format!("{}-{shard}", plain(group))
}

/// Returns `group` if it can be part of names, else its bytes in hexadecimal.
pub(super) fn plain(group: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !group.is_empty() && group.chars().all(is_plain) {
        return group.to_owned();
    }
    group.bytes().fold("hex-".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}
