use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use rusqlite::Connection;
use steadfast_base::Deadline;
use steadfast_core::store::Durability;
use steadfast_core::transport::{Capabilities, Error, Ordering, Receiver, Source, Subscribe};

use super::error::{SYSTEM, of, unavailable};
use super::inbox::Inbox;
use super::lock::{self, GroupLock};
use super::worker::Worker;
use super::{Config, install, store};
use crate::change::feed::{Driver, Feed, FeedReceiver, Handled};

/// The changes of some tables of a database; see the [module](crate::sqlite::changes).
///
/// # Examples
/// ```
/// use steadfast_backends::sqlite::changes::{Changes, Config};
/// use steadfast_base::units::HumanDuration;
///
/// let config = Config { path: "shop.db".into(), tables: vec!["orders".into()], ..Config::default() };
/// let changes = Changes::new(config)?;
/// # Ok::<(), steadfast_core::transport::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Changes {
    config: Config,
    destination: String,
    inboxes: Arc<Mutex<Vec<Weak<Inbox>>>>,
}

impl Changes {
    /// Makes the source; nothing is opened yet.
    ///
    /// # Errors
    /// [`Error::Configuration`].
    pub fn new(config: Config) -> Result<Self, Error> {
        config.check()?;
        let destination = config.tables.join(",");
        Ok(Self { config, destination, inboxes: Arc::default() })
    }

    /// Makes the change table and the triggers, or brings them up to date. [`Source::open`] does it too; doing it before
    /// makes changes from then on part of what the first group receives.
    ///
    /// # Errors
    /// [`Error::Configuration`] for a table that is not there, [`Error::Unavailable`], [`Error::Denied`].
    ///
    /// # Cancel safety
    /// It is done or not done.
    pub async fn install(&self) -> Result<(), Error> {
        let tables = self.config.tables.clone();
        self.with_connection(move |connection| install::install(connection, &tables)).await
    }

    /// Removes the triggers of the watched tables; what they have written stays. An open receiver makes them anew only
    /// when the schema changes again, so close receivers first.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Denied`].
    ///
    /// # Cancel safety
    /// It is done or not done.
    pub async fn uninstall(&self) -> Result<(), Error> {
        let tables = self.config.tables.clone();
        self.with_connection(move |connection| install::uninstall(connection, &tables)).await
    }

    /// Removes a group, so that no change waits for it any more; when it subscribes again it begins anew. What only it
    /// was waited for is deleted by the next receiver of another group; without any, it stays for the next group to
    /// begin with [`Start::Oldest`](steadfast_core::transport::Start::Oldest).
    ///
    /// # Errors
    /// [`Error::Unavailable`], also while a receiver of the group is open; [`Error::Denied`].
    ///
    /// # Cancel safety
    /// It is done or not done.
    pub async fn forget_group(&self, group: &str) -> Result<(), Error> {
        let group = group.to_owned();
        let lock = lock::path(&self.config.path, &group);
        let forget = move |connection: &mut Connection| {
            // Nobody would note what such a receiver handles, nor keep what it has not.
            let Some(_lock) = GroupLock::take(&lock)? else {
                return Err(unavailable(format!(
                    "a receiver of the group `{group}` is open: close it first"
                )));
            };
            store::forget(connection, &group).map_err(|error| of(&error))
        };
        self.with_connection(forget).await
    }

    /// Returns how many changes a group has not handled, for a gauge; of all tables that are watched, by whichever
    /// source. `None` if there is no such group.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Denied`], [`Error::Rejected`] before anything was installed.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn backlog(&self, group: &str) -> Result<Option<u64>, Error> {
        let group = group.to_owned();
        let count =
            move |connection: &mut Connection| store::backlog(connection, &group).map_err(|error| of(&error));
        self.with_connection(count).await
    }

    /// Makes `connection` wake the receivers of this source when it changes a row, so that they need not wait for the
    /// next poll. It takes the connection's update hook.
    ///
    /// # Errors
    /// [`Error::Rejected`] where the connection has another kind of hook owner.
    pub fn wake_on(&self, connection: &mut Connection) -> Result<(), Error> {
        let inboxes = Arc::clone(&self.inboxes);
        let wake = move |_, _: &str, table: &str, _| {
            if table == "steadfast_changes" {
                return;
            }
            for inbox in inboxes.lock().iter().filter_map(Weak::upgrade) {
                inbox.ask(|asked| asked.hurry = true);
            }
        };
        connection.update_hook(Some(wake)).map_err(|error| of(&error))
    }

    async fn with_connection<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (path, timeout) = (self.config.path.clone(), self.config.busy_timeout.0);
        let run = move || act(&mut install::connect(&path, timeout)?);
        match tokio::task::spawn_blocking(run).await {
            Ok(result) => result,
            Err(_) => Err(unavailable("the runtime is shutting down")),
        }
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
        Capabilities::new(Ordering::Total, Durability::Durable).seek().resumes()
    }

    fn open<'a>(&'a self, subscribe: &'a Subscribe) -> BoxFuture<'a, Result<Box<dyn Receiver>, Error>> {
        async move {
            let (tables, group, start) =
                (self.config.tables.clone(), Arc::clone(&subscribe.group), subscribe.start);
            // The group is noted before this returns: from here on changes wait for it.
            let prepare = move |connection: &mut Connection| {
                install::install(connection, &tables)?;
                store::join(connection, &group, start).map_err(|error| of(&error)).map(|_| ())
            };
            self.with_connection(prepare).await?;

            let feed = Feed::new(subscribe.in_flight_max);
            let inbox = Arc::new(Inbox::default());
            let worker = Worker {
                config: self.config.clone(),
                group: Arc::clone(&subscribe.group),
                start: subscribe.start,
                feed: Arc::clone(&feed),
                inbox: Arc::clone(&inbox),
            };
            let thread = std::thread::Builder::new()
                .name("sqlite-changes".to_owned())
                .spawn(|| worker.run())
                .map_err(|error| unavailable(format!("starting a thread: {error}")))?;
            let mut inboxes = self.inboxes.lock();
            inboxes.retain(|inbox| inbox.strong_count() > 0);
            inboxes.push(Arc::downgrade(&inbox));
            let driver = Thread { inbox, thread: Mutex::new(Some(thread)) };
            Ok(Box::new(FeedReceiver::new(feed, driver)) as Box<dyn Receiver>)
        }
        .boxed()
    }
}

/// The thread that reads, and the way to ask it.
struct Thread {
    inbox: Arc<Inbox>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Driver for Thread {
    type Position = i64;

    fn confirm(&self, handled: Handled<i64>) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            let Some(position) = handled.reached else {
                self.inbox.ask(|asked| asked.settled = true);
                return Ok(());
            };
            let told = self.inbox.confirm(position);
            told.await.unwrap_or_else(|_| Err(unavailable("the receiver was closed before it was noted")))
        }
        .boxed()
    }

    fn close(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            self.inbox.ask(|asked| asked.close = true);
            loop {
                let finished = self.thread.lock().as_ref().is_none_or(JoinHandle::is_finished);
                if finished {
                    break;
                }
                if deadline.is_expired() {
                    return Err(Error::DeadlineExceeded { system: SYSTEM });
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            if let Some(thread) = self.thread.lock().take() {
                let _ = thread.join();
            }
            Ok(())
        }
        .boxed()
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.inbox.ask(|asked| asked.close = true);
        // It ends after the statement it is at; not joined, for a drop must not block a runtime.
    }
}
