//! One process of a system, through all its starts.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::end::describe;
use super::family::{self, children_of};
use super::instance::{Inner, Instance, State};
use super::output::last_lines;
use super::set::Shared;
use super::{End, Error, Identity, ProcessConfig, Signal, ready};

/// Which part of a process a signal is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// The process that was started.
    #[default]
    Main,
    /// Its oldest child, such as a worker of nginx.
    Worker,
    /// It and all its descendants.
    Group,
}

/// A process of a system. Clones are handles of the same process.
///
/// At most one operation that starts or ends it is under way; others wait for their turn.
#[derive(Debug, Clone)]
pub struct Process {
    pub(super) inner: Arc<Inner>,
}

impl Process {
    pub(super) fn new(config: ProcessConfig, shared: Arc<Shared>) -> Self {
        let log = shared.config.folder.join(format!("{}.log", config.name.replace('/', "_")));
        let state = Mutex::new(State { instance: None, starts: 0, end: End::NotStarted });
        let inner =
            Inner { config, shared, log, url: watch::Sender::new(None), state, operation: Mutex::new(()) };
        Self { inner: Arc::new(inner) }
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.inner.config.name
    }

    /// Returns what it was made from.
    pub fn config(&self) -> &ProcessConfig {
        &self.inner.config
    }

    /// Returns where its output goes, that of all starts in one file.
    pub fn log(&self) -> &Path {
        &self.inner.log
    }

    /// Returns the identity of the main process while it runs.
    pub fn identity(&self) -> Option<Identity> {
        self.running().map(|instance| instance.identity)
    }

    /// Returns its URL as of when it was last ready.
    pub fn url(&self) -> Option<String> {
        self.inner.url.borrow().clone()
    }

    /// Returns its URL as it changes: a process that was started again may be at another port.
    pub fn urls(&self) -> watch::Receiver<Option<String>> {
        self.inner.url.subscribe()
    }

    /// Returns how often it was started.
    pub fn starts(&self) -> u32 {
        self.inner.state.lock().starts
    }

    /// Returns how it stands or how it ended.
    pub fn end(&self) -> End {
        self.inner.state.lock().end.clone()
    }

    /// Returns the last lines that it wrote since its last start: at most 20, each cut at 400 characters.
    pub fn last_lines(&self) -> Vec<String> {
        let from = self.inner.state.lock().instance.as_ref().map_or(0, |instance| instance.log_from);
        last_lines(&self.inner.log, from)
    }

    /// Starts the process and waits until it is ready.
    ///
    /// # Errors
    /// It cannot be started, or ends or is not ready in time: [`Error::Exited`] and [`Error::NotReady`] carry its
    /// last lines. A process that is not ready in time goes on running until it is stopped.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the process running or about to run; [`System::stop`](super::System::stop) ends it.
    pub async fn start(&self) -> Result<(), Error> {
        self.blocking(Self::launch).await?;
        self.await_ready().await
    }

    /// Asks the process to end by the configured signal, kills it when its time is up, and kills what is left of its
    /// descendants. One that is stopped by SIGSTOP goes on to receive the signal. Nothing to do is no error.
    ///
    /// # Errors
    /// Something survived SIGKILL.
    ///
    /// # Cancel safety
    /// The process is stopped also if the future is dropped.
    pub async fn stop(&self) -> Result<(), Error> {
        self.blocking(Self::stop_blocking).await
    }

    /// Stops the process and starts it again.
    ///
    /// # Errors
    /// As [`Process::stop`] and [`Process::start`].
    ///
    /// # Cancel safety
    /// Dropping the future may leave the process stopped.
    pub async fn restart(&self) -> Result<(), Error> {
        self.stop().await?;
        self.start().await
    }

    /// Sends `signal` to the part of the process that `scope` means, as a fault. If that ends the main process, it
    /// returns when it has ended; [`Scope::Group`] also sees that none of its descendants is left.
    ///
    /// # Errors
    /// The process does not run, or something survived SIGKILL.
    ///
    /// # Cancel safety
    /// The signal is sent also if the future is dropped.
    pub async fn kill(&self, signal: Signal, scope: Scope) -> Result<(), Error> {
        self.blocking(move |process| process.kill_blocking(signal, scope)).await
    }

    /// Waits until the process that was launched last is ready.
    ///
    /// # Errors
    /// As [`Process::start`].
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing; it can be awaited again.
    pub async fn await_ready(&self) -> Result<(), Error> {
        let instance = self.inner.state.lock().instance.clone();
        let Some(instance) = instance else { return Err(self.not_running()) };
        let config = &self.inner.config;
        let mut problem = "it was not looked at".to_owned();
        let output = || last_lines(&self.inner.log, instance.log_from);
        let name = config.name.clone();
        let url = tokio::select! {
            biased;
            status = instance.exit.ended() => {
                return Err(Error::Exited { name, status: describe(status), output: output() });
            }
            url = tokio::time::timeout(
                config.ready_within,
                ready::ready(&config.address, &config.ready, &mut problem),
            ) => url,
        };
        let Ok(url) = url else {
            return Err(Error::NotReady { name, within: config.ready_within, problem, output: output() });
        };
        instance.ready.store(true, Ordering::Release);
        self.inner.url.send_replace(url);
        Ok(())
    }

    /// Returns the live processes that `scope` means.
    ///
    /// # Errors
    /// The process does not run, or has no child to be a worker.
    pub fn members(&self, scope: Scope) -> Result<Vec<Identity>, Error> {
        let main = self.identity().ok_or_else(|| self.not_running())?;
        match scope {
            Scope::Main => Ok(vec![main]),
            Scope::Worker => match children_of(main).first() {
                Some(worker) => Ok(vec![*worker]),
                None => Err(self.signal_error("it has no child that could be a worker".to_owned())),
            },
            Scope::Group => Ok(family::of_leader(main)),
        }
    }

    /// Tells whether nothing of the system is started any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.inner.shared.closed.load(Ordering::Acquire)
    }

    pub(crate) fn not_running(&self) -> Error {
        Error::NotRunning { name: self.name().to_owned(), end: self.end().to_string() }
    }

    pub(super) fn running(&self) -> Option<Arc<Instance>> {
        self.inner.state.lock().instance.clone().filter(|instance| instance.exit.get().is_none())
    }

    pub(super) fn send(&self, signal: Signal, to: Identity) -> Result<bool, Error> {
        signal.send(to).map_err(|error| self.signal_error(format!("{signal} to {to}: {error}")))
    }

    pub(super) fn signal_error(&self, problem: String) -> Error {
        Error::Signal { name: self.name().to_owned(), problem }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let this = self.clone();
        match tokio::task::spawn_blocking(move || work(&this)).await {
            Ok(result) => result,
            Err(error) => Err(self.signal_error(format!("interrupted: {error}"))),
        }
    }
}
