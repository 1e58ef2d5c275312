use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use steadfast_base::Deadline;
use steadfast_core::Event;
use steadfast_core::store::Durability;
use steadfast_core::transport::{Capabilities, Error, Ordering, Receiver, Source, Subscribe};
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::GenericClient;
use tokio_util::task::AbortOnDropHandle;

use super::install::install;
use super::worker::{Done, Row, Worker};
use super::{OutboxSink, OutboxStatus, Settings, rows, status};
use crate::change::feed::{Driver, Feed, FeedReceiver, Handled};
use crate::postgres::Config;
use crate::postgres::connect::connect;
use crate::postgres::error::{SYSTEM, unavailable};

/// How many settlements may wait for the reader; more wait with their callers.
const SETTLEMENTS_MAX: usize = 64;

/// An outbox table as a source; see the [module](crate::postgres::outbox).
///
/// # Examples
/// ```no_run
/// use steadfast_backends::postgres::Config;
/// use steadfast_backends::postgres::outbox::{Outbox, Settings};
/// use steadfast_core::Event;
///
/// # use steadfast_backends::postgres::tokio_postgres;
/// # async fn example(mut client: tokio_postgres::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let outbox = Outbox::new(Config::default(), Settings::default())?;
/// outbox.install().await?;
///
/// let transaction = client.transaction().await?;
/// transaction.execute("UPDATE orders SET state = 'paid' WHERE id = 7", &[]).await?;
/// let paid = Event::new("/shop", "order.paid").subject("order-7").build();
/// outbox.append(&transaction, &[paid]).await?;
/// transaction.commit().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Outbox {
    config: Config,
    settings: Settings,
}

impl Outbox {
    /// Makes the source; nothing is connected yet.
    ///
    /// # Errors
    /// [`Error::Configuration`].
    pub fn new(config: Config, settings: Settings) -> Result<Self, Error> {
        settings.check()?;
        Ok(Self { config, settings })
    }

    /// Makes the table, where [`Settings::create`] allows. [`Source::open`] does it too.
    ///
    /// # Errors
    /// [`Error::Configuration`] and [`Error::Denied`] with what to do; [`Error::Unavailable`].
    ///
    /// # Cancel safety
    /// It is done or not done.
    pub async fn install(&self) -> Result<(), Error> {
        install(&*connect(&self.config).await?, &self.settings).await
    }

    /// Appends events, in order, within a transaction of the application: they are there exactly if it is committed.
    /// The driver's types are those of [`postgres::tokio_postgres`](crate::postgres::tokio_postgres).
    ///
    /// # Errors
    /// What the database said; the transaction is then to be rolled back.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether they are in the transaction.
    pub async fn append(&self, transaction: &impl GenericClient, events: &[Event]) -> Result<(), Error> {
        rows::append(transaction, &self.settings, events).await
    }

    /// Returns how the outbox stands.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Denied`], [`Error::Rejected`] where there is no table.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn status(&self) -> Result<OutboxStatus, Error> {
        status::status(&*connect(&self.config).await?, &self.settings).await
    }

    /// Returns a sink that appends events in transactions of its own.
    pub fn sink(&self) -> OutboxSink {
        OutboxSink::new(self.config.clone(), self.settings.clone())
    }
}

pub(super) fn capabilities() -> Capabilities {
    Capabilities::new(Ordering::PerKey, Durability::Durable).resumes()
}

impl Source for Outbox {
    fn system(&self) -> &'static str {
        SYSTEM
    }

    fn destination(&self) -> &str {
        &self.settings.table
    }

    fn capabilities(&self) -> Capabilities {
        capabilities()
    }

    fn open<'a>(&'a self, subscribe: &'a Subscribe) -> BoxFuture<'a, Result<Box<dyn Receiver>, Error>> {
        async move {
            self.install().await?;
            let feed = Feed::new(subscribe.in_flight_max);
            let (settlements, settled) = mpsc::channel(SETTLEMENTS_MAX);
            let worker = Worker::new(self.config.clone(), self.settings.clone(), Arc::clone(&feed), settled);
            let task = AbortOnDropHandle::new(tokio::spawn(worker.run()));
            let driver = Drain { settlements, task: Mutex::new(Some(task)) };
            Ok(Box::new(FeedReceiver::new(feed, driver)) as Box<dyn Receiver>)
        }
        .boxed()
    }
}

/// The task that drains the table.
struct Drain {
    settlements: mpsc::Sender<Done>,
    task: Mutex<Option<AbortOnDropHandle<()>>>,
}

impl Driver for Drain {
    type Position = Row;

    fn confirm(&self, handled: Handled<Row>) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            let ids = handled.positions.iter().map(|row| row.id).collect();
            let (answer, answered) = oneshot::channel();
            let closed = || unavailable("the receiver was closed before it was told");
            self.settlements.send(Done { ids, answer }).await.map_err(|_| closed())?;
            answered.await.map_err(|_| closed())?
        }
        .boxed()
    }

    fn close(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            let Some(task) = self.task.lock().take() else { return Ok(()) };
            match tokio::time::timeout_at(deadline.instant(), task).await {
                Ok(_) => Ok(()),
                Err(_) => Err(Error::DeadlineExceeded { system: SYSTEM }),
            }
        }
        .boxed()
    }
}
