use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use steadfast_base::Deadline;
use steadfast_core::store::Durability;
use steadfast_core::transport::{
    Capabilities, Error, Link, LinkState, Ordering, Receiver, Source, Subscribe,
};
use tokio::task::JoinHandle;

use super::Settings;
use super::position::LogPosition;
use super::prepare::{Tables, prepare};
use super::status::{self, SlotStatus};
use super::worker::{Progress, Server, Worker};
use crate::change::feed::{Driver, Feed, FeedReceiver, Handled};
use crate::postgres::Config;
use crate::postgres::connect::connect;
use crate::postgres::error::{SYSTEM, of, unavailable};

/// How long telling the server may take.
const TELL_WITHIN: Duration = Duration::from_secs(10);
/// How long preparing may take beside the making of a slot.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The changes of some tables of a database, by logical replication; see the [module](crate::postgres::changes).
///
/// # Examples
/// ```
/// use steadfast_backends::postgres::Config;
/// use steadfast_backends::postgres::changes::{Changes, Settings};
///
/// let settings = Settings { tables: vec!["orders".into()], ..Settings::default() };
/// let changes = Changes::new(Config::default(), settings)?;
/// # Ok::<(), steadfast_core::transport::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Changes {
    config: Config,
    settings: Settings,
    source: Arc<str>,
    destination: String,
}

impl Changes {
    /// Makes the source; nothing is connected yet.
    ///
    /// # Errors
    /// [`Error::Configuration`].
    pub fn new(config: Config, settings: Settings) -> Result<Self, Error> {
        settings.check()?;
        let source = match settings.source.as_str() {
            "" => format!("/postgresql/{}", config.database).into(),
            source => source.into(),
        };
        let destination = settings.tables.join(",");
        Ok(Self { config, settings, source, destination })
    }

    /// Makes publication and slot of a group, where [`Settings::create`] allows, so that changes are kept for it from
    /// now on. [`Source::open`] does it too.
    ///
    /// # Errors
    /// [`Error::Configuration`] and [`Error::Denied`] with what to do; [`Error::Unavailable`].
    ///
    /// # Cancel safety
    /// Some of it may be done; doing it again is harmless.
    pub async fn install(&self, group: &str) -> Result<(), Error> {
        self.prepare(&self.settings.slot_of(group)).await.map(drop)
    }

    async fn prepare(&self, slot: &str) -> Result<Tables, Error> {
        let session = connect(&self.config).await?;
        let within = self.settings.create_timeout.0.saturating_add(ANSWER_WITHIN);
        let prepared = tokio::time::timeout(within, prepare(&session, &self.settings, slot)).await;
        prepared.unwrap_or_else(|_| Err(unavailable("the server does not answer")))
    }

    /// Returns how the group's slot stands; `None` if it has none.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Denied`].
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn status(&self, group: &str) -> Result<Option<SlotStatus>, Error> {
        let session = connect(&self.config).await?;
        status::status(&session, &self.settings.slot_of(group)).await
    }

    /// Drops the group's slot, if there is one, so that the server keeps nothing for it any more.
    ///
    /// # Errors
    /// [`Error::Unavailable`], also while a receiver of the group is open; [`Error::Denied`].
    ///
    /// # Cancel safety
    /// It is done or not done.
    pub async fn drop_group(&self, group: &str) -> Result<(), Error> {
        let session = connect(&self.config).await?;
        let sql = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1";
        session.execute(sql, &[&self.settings.slot_of(group)]).await.map(drop).map_err(|error| of(&error))
    }
}

impl Source for Changes {
    fn system(&self) -> &'static str {
        SYSTEM
    }

    fn destination(&self) -> &str {
        &self.destination
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Ordering::Total, Durability::Durable).resumes()
    }

    fn open<'a>(&'a self, subscribe: &'a Subscribe) -> BoxFuture<'a, Result<Box<dyn Receiver>, Error>> {
        async move {
            let slot = self.settings.slot_of(&subscribe.group);
            let tables = self.prepare(&slot).await?;
            let (feed, progress) = (Feed::new(subscribe.in_flight_max), Progress::new());
            let worker = Worker {
                config: self.config.clone(),
                settings: self.settings.clone(),
                source: Arc::clone(&self.source),
                slot,
                tables,
                feed: Arc::clone(&feed),
                progress: Arc::clone(&progress),
                server: Server::default(),
            };
            let task = tokio::spawn(worker.run());
            let driver = Slot { link: feed.link(), progress, task: Mutex::new(Some(task)) };
            Ok(Box::new(FeedReceiver::new(feed, driver)) as Box<dyn Receiver>)
        }
        .boxed()
    }
}

/// The task that reads the slot. It ends soon after the feed is closed, also by a drop: it has yet to tell the server
/// what was handled, and is not aborted for that.
struct Slot {
    link: LinkState,
    progress: Arc<Progress>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Driver for Slot {
    type Position = LogPosition;

    fn confirm(&self, handled: Handled<LogPosition>) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            let Some(reached) = handled.reached else { return Ok(()) };
            let (mut told, mut link) = (self.progress.told.subscribe(), self.link.clone());
            self.progress.raise(reached.end());
            let not_told = |reason: &str| Err(unavailable(reason));
            tokio::select! {
                biased;
                told = told.wait_for(|told| *told >= reached.end()) => match told {
                    Ok(_) => Ok(()),
                    Err(_) => not_told("the receiver has ended"),
                },
                // It is told once the connection is made again, if this process lives until then.
                _ = link.wait_for(|link| matches!(link, Link::Down { .. })) => not_told("the connection is lost"),
                () = self.progress.ended.cancelled() => not_told("the receiver was closed before"),
                () = tokio::time::sleep(TELL_WITHIN) => not_told("the server was not told in time"),
            }
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
