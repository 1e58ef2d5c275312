//! The stream of JetStream that holds the log: made where it is not there, and checked.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream::context::CreateStreamErrorKind;
use async_nats::jetstream::stream::{Config as Wanted, DiscardPolicy, RetentionPolicy, StorageType};
use serde::Deserialize;
use steadfast_core::store::{Error, Outcome};
use tokio::time::Instant;

use super::access::{Access, Found, refused};
use super::error::Failure;
use super::message::VERSION;

/// What in the stream's metadata says which version of the format it holds.
const METADATA: &str = "steadfast-store";
/// How long the server keeps in memory by which identities messages that are sent together are told apart. They are
/// compared with the last message alone, so this is next to the least that it allows.
const IDENTITIES_FOR: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct Info {
    config: Config,
    #[serde(default)]
    state: State,
}

#[derive(Deserialize, Default)]
struct State {
    #[serde(default)]
    last_seq: u64,
}

/// What the server says of a stream, in its own words: the driver does not know all of them.
#[derive(Deserialize)]
#[serde(default)]
struct Config {
    subjects: Vec<String>,
    retention: String,
    storage: String,
    discard: String,
    max_age: u64,
    max_msgs_per_subject: i64,
    max_msg_size: i64,
    num_replicas: u64,
    no_ack: bool,
    sealed: bool,
    deny_purge: bool,
    allow_direct: bool,
    persist_mode: String,
    mirror: Option<serde_json::Value>,
    sources: Option<serde_json::Value>,
    subject_transform: Option<serde_json::Value>,
    metadata: HashMap<String, String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            subjects: Vec::new(),
            retention: "limits".to_owned(),
            storage: "file".to_owned(),
            discard: "old".to_owned(),
            max_age: 0,
            max_msgs_per_subject: -1,
            max_msg_size: -1,
            num_replicas: 1,
            no_ack: false,
            sealed: false,
            deny_purge: false,
            allow_direct: false,
            persist_mode: String::new(),
            mirror: None,
            sources: None,
            subject_transform: None,
            metadata: HashMap::new(),
        }
    }
}

impl Access {
    /// Makes the stream if it is not there, and checks that it keeps what it is given.
    pub(super) async fn prepare(&self, until: Instant) -> Result<(), Error> {
        let doing = "preparing the stream of NATS";
        let made = |client: async_nats::Client| async move {
            if !client.is_server_compatible(2, 10, 0) {
                let what = format!("a store on NATS {}, only on 2.10 or later", client.server_info().version);
                return Err(Failure::Final(Error::Unsupported { what }));
            }
            let made = self.context(&client).get_or_create_stream(self.wanted()).await;
            made.map_err(|error| match error.kind() {
                CreateStreamErrorKind::JetStream(error) => refused(&error),
                _ => Failure::Away(error.to_string()),
            })?;
            Ok(client.is_server_compatible(2, 11, 0))
        };
        let gives_many = self.insist(doing, until, made).await?;
        let found = self.info(until).await?.config;
        found.check(self)?;
        self.found(Found {
            // Of several servers, one that gives many may lag behind the one that leads.
            gives_many: gives_many && found.allow_direct && found.num_replicas == 1,
            message_bytes_max: usize::try_from(found.max_msg_size).ok().filter(|max| *max > 0),
        });
        Ok(())
    }

    fn wanted(&self) -> Wanted {
        Wanted {
            name: self.settings.stream.clone(),
            subjects: vec![self.subjects.all()],
            retention: RetentionPolicy::Limits,
            discard: DiscardPolicy::New,
            storage: StorageType::File,
            num_replicas: self.config.replicas.into(),
            allow_direct: true,
            duplicate_window: IDENTITIES_FOR,
            metadata: HashMap::from([(METADATA.to_owned(), VERSION.to_string())]),
            ..Wanted::default()
        }
    }

    /// Returns the sequence of the newest message.
    pub(super) async fn end(&self, until: Instant) -> Result<u64, Error> {
        Ok(self.info(until).await?.state.last_seq)
    }

    async fn info(&self, until: Instant) -> Result<Info, Error> {
        let body = serde_json::json!({});
        let body = &body;
        let asked = |client| async move { self.ask(&client, "INFO", body).await };
        self.insist("asking for the stream of NATS", until, asked).await
    }

    /// Deletes what stands before the message `sequence` in a subject.
    pub(super) async fn purge(&self, subject: &str, sequence: u64, until: Instant) -> Result<(), Error> {
        #[derive(Deserialize)]
        struct Purged {}
        let body = serde_json::json!({"filter": subject, "seq": sequence});
        let body = &body;
        let asked = |client| async move { self.ask::<Purged>(&client, "PURGE", body).await };
        let purged = self.insist("deleting from NATS", until, asked).await;
        // That the stream is deleted is said by the message; what is left undone is done when it is deleted again.
        purged.map(drop).map_err(|error| match error {
            Error::Io { doing, source, .. } => Error::Io { doing, source, outcome: Outcome::Unknown },
            other => other,
        })
    }
}

impl Config {
    fn check(&self, access: &Access) -> Result<(), Error> {
        let name = &access.settings.stream;
        let wrong = |problem: &str| {
            let reason = format!("the stream `{name}` of NATS cannot keep events: {problem}");
            Err(Error::Invalid { reason })
        };
        match self.metadata.get(METADATA).map(|version| version.parse::<u32>()) {
            Some(Ok(version)) if version <= VERSION && version > 0 => {}
            Some(Ok(version)) if version > VERSION => {
                let what = format!(
                    "format {version} of the stream `{name}`, only up to {VERSION}: it was made by a newer version"
                );
                return Err(Error::Unsupported { what });
            }
            _ => return wrong("it was made for something else; choose another name"),
        }
        if self.storage != "file" {
            return wrong("it lies in memory; make it anew with file storage");
        }
        if self.retention != "limits" {
            return wrong("it deletes by interest or as a work queue; set retention `limits`");
        }
        if self.discard != "new" {
            return wrong("full, it deletes the oldest; set `discard: new`");
        }
        if self.max_age > 0 {
            return wrong("it deletes by age; set no `max_age`");
        }
        if self.max_msgs_per_subject > 0 {
            return wrong("it deletes the oldest of a subject; set no `max_msgs_per_subject`");
        }
        if self.no_ack {
            return wrong("it acknowledges nothing; take `no_ack` away");
        }
        if self.persist_mode == "async" {
            return wrong("it acknowledges before it writes; set `persist_mode: default`");
        }
        if self.sealed {
            return wrong("it is sealed; restore a copy of it");
        }
        if self.deny_purge {
            return wrong("no stream of events could be deleted; make it anew without `deny_purge`");
        }
        if self.mirror.is_some() || self.sources.is_some() || self.subject_transform.is_some() {
            return wrong("it takes what others have; take `mirror`, `sources` and `subject_transform` away");
        }
        if !self.subjects.contains(&access.subjects.all()) {
            return wrong(&format!("its subjects are not `{}`; add that", access.subjects.all()));
        }
        Ok(())
    }
}
