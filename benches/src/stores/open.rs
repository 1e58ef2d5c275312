//! The stores, and how each is opened for a durability.

use std::any::Any;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use steadfast_backends::file::{self, FileLog};
use steadfast_backends::{nats, postgres, redis, sqlite};
use steadfast_core::store::{Durability, EventStore, MemoryStore};
use steadfast_servers::Postgres;
use tokio::runtime::Runtime;

use crate::servers;

/// A kind of store.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Memory,
    File,
    Sqlite,
    Postgres,
    Redis,
    Nats,
}

/// An empty store.
pub(super) struct Place {
    pub(super) store: Arc<dyn EventStore>,
    /// What it stands on, to be dropped after it.
    _server: Option<Box<dyn Any>>,
}

impl Kind {
    pub(super) const ALL: [Self; 6] =
        [Self::Memory, Self::File, Self::Sqlite, Self::Postgres, Self::Redis, Self::Nats];

    /// The levels that are measured, the highest first.
    pub(super) fn levels(self) -> &'static [Durability] {
        match self {
            Self::Memory => &[Durability::Accepted],
            _ => &[Durability::Durable, Durability::Written],
        }
    }

    /// Opens an empty store, with the server that it needs for `durability`.
    pub(super) fn open(
        self,
        folder: &Path,
        durability: Durability,
        runtime: &Runtime,
    ) -> anyhow::Result<Place> {
        let place = folder.join(format!("{self}-{durability}"));
        match self {
            Self::Memory => Ok(Place::embedded(MemoryStore::new())),
            Self::File => Ok(Place::embedded(FileLog::open(place, file::Config::default())?)),
            Self::Sqlite => {
                let config = sqlite::store::Config::at(place);
                Ok(Place::embedded(runtime.block_on(sqlite::store::SqliteStore::open(config))?))
            }
            Self::Postgres => {
                let server = servers::postgres(folder)?;
                let config = postgres::Config {
                    host: server.address().ip().to_string(),
                    port: server.address().port(),
                    user: Postgres::USER.to_owned(),
                    password: Some(steadfast_backends::Secret::new(Postgres::PASSWORD)),
                    ..postgres::Config::default()
                };
                let opening = postgres::store::PostgresStore::open(config, Default::default());
                Ok(Place::served(runtime.block_on(opening)?, server))
            }
            Self::Redis => {
                let server = servers::redis(folder)?;
                let config: redis::Config = server.url().parse().context("its URL")?;
                let opening = redis::store::RedisStore::open(config, Default::default());
                Ok(Place::served(runtime.block_on(opening)?, server))
            }
            Self::Nats => {
                let sync_always = durability == Durability::Durable;
                let server = servers::nats(folder, sync_always)?;
                let sync = if sync_always { nats::SyncInterval::Always } else { nats::SyncInterval::Lazy };
                let config =
                    nats::Config { address: server.address().to_string(), sync, ..Default::default() };
                let opening = nats::store::NatsStore::open(config, Default::default());
                Ok(Place::served(runtime.block_on(opening)?, server))
            }
        }
    }
}

impl Place {
    fn embedded(store: impl EventStore) -> Self {
        Self { store: Arc::new(store), _server: None }
    }

    fn served(store: impl EventStore, server: impl Any) -> Self {
        Self { store: Arc::new(store), _server: Some(Box::new(server)) }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::File => "file",
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Nats => "nats",
        })
    }
}
