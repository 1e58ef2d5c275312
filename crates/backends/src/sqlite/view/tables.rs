use std::error::Error as StdError;
use std::sync::Arc;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use steadfast_core::projection::{ApplyError, View, ViewError};
use steadfast_core::store::{Position, StoredEvent};

use super::Config;
use super::place::{self, of};

/// A [`View`] in tables of a SQLite database; see the [module](super).
///
/// # Examples
/// ```
/// use steadfast_backends::sqlite::rusqlite::{self, Transaction};
/// use steadfast_backends::sqlite::view::{Config, SqliteView};
/// use steadfast_core::projection::View;
/// use steadfast_core::store::{Position, StoredEvent};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("shop.db");
/// let config = Config { path, name: "orders".to_owned(), ..Config::default() };
/// let migrations = [
///     "CREATE TABLE orders (id TEXT PRIMARY KEY, kind TEXT NOT NULL)",
///     "CREATE INDEX orders_by_kind ON orders (kind)",
/// ];
/// let orders = SqliteView::open(config, &migrations, |tables: &Transaction<'_>, stored: &StoredEvent| {
///     let (id, kind) = (stored.event.subject(), stored.event.kind());
///     tables.execute("INSERT INTO orders VALUES (?1, ?2) ON CONFLICT DO UPDATE SET kind = ?2", (id, kind)).map(drop)
/// })
/// .await?;
/// assert_eq!(orders.position().await?, Position::START);
/// # Ok(()) }
/// ```
pub struct SqliteView<F> {
    shared: Arc<Shared<F>>,
}

struct Shared<F> {
    connection: Mutex<Connection>,
    name: String,
    apply: F,
}

impl<F, E> SqliteView<F>
where
    F: Fn(&Transaction<'_>, &StoredEvent) -> Result<(), E> + Send + Sync + 'static,
    E: Into<Box<dyn StdError + Send + Sync>> + 'static,
{
    /// Opens the database and runs those of `migrations`, SQL that makes the view's tables or changes them, that have not
    /// been run; `apply` changes the tables by an event. An error of SQLite that says nothing about the event, such as a
    /// full disk, is no reason to pass it: the batch is tried again.
    ///
    /// The migrations run in one transaction, and so may not begin or end one.
    ///
    /// # Errors
    /// [`ViewError`] when the database cannot be opened, a migration fails (then none is run), or the tables were made by
    /// a newer version.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the tables made.
    pub async fn open(config: Config, migrations: &[&str], apply: F) -> Result<Self, ViewError> {
        if config.name.is_empty() {
            return Err(ViewError::permanent("`name` is empty: name the projection"));
        }
        let migrations: Vec<String> = migrations.iter().map(|&migration| migration.to_owned()).collect();
        let opening = tokio::task::spawn_blocking(move || {
            let connection = place::open(&config, &migrations)?;
            Ok((connection, config.name))
        });
        let (connection, name) = opening.await.map_err(ViewError::permanent)??;
        Ok(Self { shared: Arc::new(Shared { connection: Mutex::new(connection), name, apply }) })
    }

    async fn with<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection, &Shared<F>) -> R + Send + 'static,
    ) -> R {
        let shared = Arc::clone(&self.shared);
        let working = tokio::task::spawn_blocking(move || work(&mut shared.connection.lock(), &shared));
        match working.await {
            Ok(result) => result,
            // A panic of the caller's function is the caller's.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// What stops a batch.
enum Stop {
    At(usize, String),
    Sql(rusqlite::Error),
    View(ViewError),
    Back(ApplyError),
}

impl Stop {
    /// Says what an error of the caller's function means.
    fn of(index: usize, error: Box<dyn StdError + Send + Sync>) -> Self {
        match error.downcast::<rusqlite::Error>() {
            Ok(sql) => {
                let text = sql.to_string();
                let view = of(*sql);
                if view.retryable { Self::View(view) } else { Self::At(index, text) }
            }
            Err(other) => Self::At(index, other.to_string()),
        }
    }
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl<F, E> View for SqliteView<F>
where
    F: Fn(&Transaction<'_>, &StoredEvent) -> Result<(), E> + Send + Sync + 'static,
    E: Into<Box<dyn StdError + Send + Sync>> + 'static,
{
    fn position(&self) -> BoxFuture<'_, Result<Position, ViewError>> {
        Box::pin(self.with(|connection, shared| place::position(connection, &shared.name)))
    }

    fn apply<'a>(
        &'a self,
        after: Position,
        events: &'a [StoredEvent],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        let events = events.to_vec();
        Box::pin(self.with(move |connection, shared| {
            let mut work = || -> Result<(), Stop> {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let known = place::position(&transaction, &shared.name).map_err(Stop::View)?;
                ApplyError::check(known, after).map_err(Stop::Back)?;
                for (index, event) in events.iter().enumerate() {
                    // IMPORTANT: Another process may have applied it since this one was told the position.
                    if event.position > known {
                        (shared.apply)(&transaction, event).map_err(|error| Stop::of(index, error.into()))?;
                    }
                }
                if let Some(last) = events.last().filter(|last| last.position > known) {
                    place::note(&transaction, &shared.name, last.position)?;
                }
                Ok(transaction.commit()?)
            };
            work().map_err(|stop| match stop {
                Stop::At(index, reason) => ApplyError::Event { index, reason, retryable: false },
                Stop::Sql(error) => of(error).into(),
                Stop::View(error) => error.into(),
                Stop::Back(error) => error,
            })
        }))
    }

    fn skip<'a>(
        &'a self,
        after: Position,
        event: &'a StoredEvent,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        let (event, reason) = (event.clone(), reason.to_owned());
        Box::pin(self.with(move |connection, shared| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(of)?;
            let known = place::position(&transaction, &shared.name)?;
            ApplyError::check(known, after)?;
            if known < event.position {
                place::record(&transaction, &shared.name, &event, &reason).map_err(of)?;
                place::note(&transaction, &shared.name, event.position).map_err(of)?;
            }
            Ok(transaction.commit().map_err(of)?)
        }))
    }
}

impl<F> std::fmt::Debug for SqliteView<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteView").field("name", &self.shared.name).finish_non_exhaustive()
    }
}
