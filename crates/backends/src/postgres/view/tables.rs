use std::error::Error as StdError;

use futures::future::BoxFuture;
use steadfast_core::projection::{ApplyError, View, ViewError};
use steadfast_core::store::{Position, StoredEvent};
use tokio::sync::Mutex;
use tokio_postgres::Transaction;

use super::Settings;
use super::place::{self, is_about_data, of};
use crate::postgres::Config;
use crate::postgres::connect::Session;

/// A [`View`] in tables of a PostgreSQL database; see the [module](super).
///
/// # Examples
/// ```no_run
/// use steadfast_backends::postgres::Config;
/// use steadfast_backends::postgres::tokio_postgres::{self, Transaction};
/// use steadfast_backends::postgres::view::{PostgresView, Settings};
/// use steadfast_core::projection::View;
/// use steadfast_core::store::{Position, StoredEvent};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let settings = Settings { name: "orders".to_owned(), ..Settings::default() };
/// let migrations = [
///     "CREATE TABLE orders (id text PRIMARY KEY, kind text NOT NULL)",
///     "CREATE INDEX orders_by_kind ON orders (kind)",
/// ];
/// let orders = PostgresView::open(
///     Config::default(),
///     settings,
///     &migrations,
///     |tables: &Transaction<'_>, stored: &StoredEvent| {
///         Box::pin(async move {
///             let (id, kind) = (stored.event.subject(), stored.event.kind());
///             let sql = "INSERT INTO orders VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET kind = $2";
///             tables.execute(sql, &[&id, &kind]).await.map(drop)
///         })
///     },
/// )
/// .await?;
/// assert_eq!(orders.position().await?, Position::START);
/// # Ok(()) }
/// ```
pub struct PostgresView<F> {
    config: Config,
    settings: Settings,
    /// None while it is in use, and after something has failed.
    session: Mutex<Option<Session>>,
    apply: F,
}

impl<F, E> PostgresView<F>
where
    F: for<'a> Fn(&'a Transaction<'_>, &'a StoredEvent) -> BoxFuture<'a, Result<(), E>>
        + Send
        + Sync
        + 'static,
    E: Into<Box<dyn StdError + Send + Sync>> + 'static,
{
    /// Connects and runs those of `migrations`, SQL that makes the view's tables or changes them, that have not been
    /// run; `apply` changes the tables by an event. An error of PostgreSQL that says nothing about the event, such as a
    /// lock that was not to be had or a table that is not there, is no reason to pass it.
    ///
    /// # Errors
    /// [`ViewError`] when the server cannot be reached or refuses, a migration fails (then none is run), or the tables
    /// were made by a newer version.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the tables made.
    pub async fn open(
        config: Config,
        settings: Settings,
        migrations: &[&str],
        apply: F,
    ) -> Result<Self, ViewError> {
        settings.check()?;
        let mut session = place::connect(&config, &settings).await?;
        place::install(&mut session, &settings, migrations).await?;
        Ok(Self { config, settings, session: Mutex::new(Some(session)), apply })
    }
}

impl<F> PostgresView<F> {
    /// Gives the connection at hand, or another one.
    async fn session(&self, held: &mut Option<Session>) -> Result<Session, ViewError> {
        match held.take() {
            Some(session) if !session.is_closed() => Ok(session),
            _ => place::connect(&self.config, &self.settings).await,
        }
    }
}

/// What stops a batch.
enum Stop {
    At(usize, String),
    View(ViewError),
    Back(ApplyError),
}

impl Stop {
    /// Says what an error of the caller's function means.
    fn of(index: usize, error: Box<dyn StdError + Send + Sync>) -> Self {
        match error.downcast::<tokio_postgres::Error>() {
            Ok(sql) if is_about_data(&sql) => Self::At(index, of(&sql).reason),
            Ok(sql) => Self::View(of(&sql)),
            Err(other) => Self::At(index, other.to_string()),
        }
    }
}

impl From<ViewError> for Stop {
    fn from(error: ViewError) -> Self {
        Self::View(error)
    }
}

impl From<tokio_postgres::Error> for Stop {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::View(of(&error))
    }
}

impl<F, E> PostgresView<F>
where
    F: for<'a> Fn(&'a Transaction<'_>, &'a StoredEvent) -> BoxFuture<'a, Result<(), E>>
        + Send
        + Sync
        + 'static,
    E: Into<Box<dyn StdError + Send + Sync>> + 'static,
{
    async fn apply_all(
        &self,
        session: &mut Session,
        after: Position,
        events: &[StoredEvent],
    ) -> Result<(), Stop> {
        let transaction = session.transaction().await?;
        let known = place::lock(&transaction, &self.settings.name).await?;
        ApplyError::check(known, after).map_err(Stop::Back)?;
        for (index, event) in events.iter().enumerate() {
            // IMPORTANT: Another process may have applied it since this one was told the position.
            if event.position > known {
                let applied = (self.apply)(&transaction, event).await;
                applied.map_err(|error| Stop::of(index, error.into()))?;
            }
        }
        if let Some(last) = events.last().filter(|last| last.position > known) {
            place::note(&transaction, &self.settings.name, last.position).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn pass(
        &self,
        session: &mut Session,
        after: Position,
        event: &StoredEvent,
        reason: &str,
    ) -> Result<(), ApplyError> {
        let told = |error| of(&error);
        let transaction = session.transaction().await.map_err(told)?;
        let known = place::lock(&transaction, &self.settings.name).await?;
        ApplyError::check(known, after)?;
        if known < event.position {
            place::record(&transaction, &self.settings.name, event, reason).await?;
            place::note(&transaction, &self.settings.name, event.position).await?;
        }
        Ok(transaction.commit().await.map_err(told)?)
    }
}

// In each of these the connection is put back only when it did not fail. A future that is dropped amid a transaction
// drops its connection, and the server rolls back.
impl<F, E> View for PostgresView<F>
where
    F: for<'a> Fn(&'a Transaction<'_>, &'a StoredEvent) -> BoxFuture<'a, Result<(), E>>
        + Send
        + Sync
        + 'static,
    E: Into<Box<dyn StdError + Send + Sync>> + 'static,
{
    fn position(&self) -> BoxFuture<'_, Result<Position, ViewError>> {
        Box::pin(async {
            let mut held = self.session.lock().await;
            let session = self.session(&mut held).await?;
            let position = place::position(&*session, &self.settings.name).await?;
            *held = Some(session);
            Ok(position)
        })
    }

    fn apply<'a>(
        &'a self,
        after: Position,
        events: &'a [StoredEvent],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let mut held = self.session.lock().await;
            let mut session = self.session(&mut held).await?;
            match self.apply_all(&mut session, after, events).await {
                Ok(()) => {
                    *held = Some(session);
                    Ok(())
                }
                Err(Stop::At(index, reason)) => {
                    *held = Some(session);
                    Err(ApplyError::Event { index, reason, retryable: false })
                }
                Err(Stop::View(error)) => Err(error.into()),
                Err(Stop::Back(error)) => Err(error),
            }
        })
    }

    fn skip<'a>(
        &'a self,
        after: Position,
        event: &'a StoredEvent,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let mut held = self.session.lock().await;
            let mut session = self.session(&mut held).await?;
            self.pass(&mut session, after, event, reason).await?;
            *held = Some(session);
            Ok(())
        })
    }
}

impl<F> std::fmt::Debug for PostgresView<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresView").field("settings", &self.settings).finish_non_exhaustive()
    }
}
