//! Which event store a program stands on: it is chosen on the command line, opened here, and behind
//! [`EventStore`] for all others.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use steadfast::backends::file;
use steadfast::core::store::{self, Durability, EventStore};

use super::arguments::Common;
use super::place::Place;

/// How safe an event must be before anybody is told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Level {
    /// It survives the loss of power.
    Durable,
    /// It survives the death of the store's process, but not the loss of power.
    Written,
    /// It is lost when the store's process dies.
    Accepted,
}

impl From<Level> for Durability {
    fn from(level: Level) -> Self {
        match level {
            Level::Durable => Self::Durable,
            Level::Written => Self::Written,
            Level::Accepted => Self::Accepted,
        }
    }
}

/// An open store, and how safe it is to make events.
#[derive(Clone)]
pub struct Opened {
    /// The store.
    pub store: Arc<dyn EventStore>,
    /// What to ask it for.
    pub durability: Durability,
}

impl Common {
    /// Opens the store of the program called `program`, which has a place of its own wherever the server is shared: in
    /// PostgreSQL a schema of this name, in Redis keys that begin with it, in NATS a stream.
    ///
    /// # Errors
    /// The store cannot be opened, or cannot make events as safe as is asked for.
    pub async fn open_store(&self, program: &'static str) -> anyhow::Result<Opened> {
        let place = match (&self.store, &self.data) {
            (Some(place), _) => place.clone(),
            (None, Some(folder)) => Place::File(folder.clone()),
            // The command line cannot be read without one of them.
            (None, None) => anyhow::bail!("give `--store URL`, or `--data DIR` for a file log"),
        };
        let durability = Durability::from(self.durability);
        let store = open(&place, program).await.with_context(|| format!("cannot open the store {place}"))?;
        let most = store.capabilities().durability_max;
        if most < durability {
            anyhow::bail!(
                "the store {place} can make events `{most}` at most, not `{durability}`: set it up to do more, or \
                 say openly by `--durability {most}` that this is enough"
            );
        }
        tracing::info!(%place, %durability, "the store is open");
        Ok(Opened { store, durability })
    }
}

async fn open(place: &Place, program: &'static str) -> anyhow::Result<Arc<dyn EventStore>> {
    // Where a store has no place by name, the program's name says nothing.
    let _ = program;
    match place {
        Place::File(folder) => file_log(folder.clone()).await,
        #[cfg(feature = "sqlite")]
        Place::Sqlite(path) => {
            use steadfast::backends::sqlite::store::{Config, SqliteStore};

            Ok(Arc::new(SqliteStore::open(Config::at(path)).await?))
        }
        #[cfg(feature = "postgres")]
        Place::Postgres(config) => {
            use steadfast::backends::postgres::store::{PostgresStore, Settings};

            let settings = Settings { schema: program.to_owned(), ..Settings::default() };
            Ok(Arc::new(PostgresStore::open((**config).clone(), settings).await?))
        }
        #[cfg(feature = "redis")]
        Place::Redis(config) => {
            use steadfast::backends::redis::store::{RedisStore, Settings};

            let settings = Settings { name: program.to_owned(), ..Settings::default() };
            Ok(Arc::new(RedisStore::open((**config).clone(), settings).await?))
        }
        #[cfg(feature = "nats")]
        Place::Nats(config) => {
            use steadfast::backends::nats::store::{NatsStore, Settings};

            let settings = Settings { stream: program.to_owned(), ..Settings::default() };
            Ok(Arc::new(NatsStore::open((**config).clone(), settings).await?))
        }
    }
}

/// Opens a file log, which blocks a thread of its own.
async fn file_log(folder: PathBuf) -> anyhow::Result<Arc<dyn EventStore>> {
    let config = file::Config {
        segment_size: "16MiB".parse().expect("a size with its unit"),
        ..file::Config::default()
    };
    let shown = format!("`steadfast log verify {}` shows all of it", folder.display());
    match tokio::task::spawn_blocking(move || file::FileLog::open(folder, config)).await? {
        Ok(log) => Ok(Arc::new(log)),
        Err(damaged @ store::Error::Damaged { .. }) => Err(anyhow::Error::new(damaged).context(shown)),
        Err(error) => Err(error.into()),
    }
}
