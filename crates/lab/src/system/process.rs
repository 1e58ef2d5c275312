//! One process of a system, through all its starts.

use std::fs::OpenOptions;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::end::describe;
use super::exit::Exit;
use super::family::{self, children_of, extinguish};
use super::output::last_lines;
use super::set::Shared;
use super::{
    Address, Death, End, Error, Identity, MARKER_VARIABLE, ProcessConfig, Signal, SystemConfig, program,
    ready,
};
use crate::undo::{Opened, Undo};

/// How long the descendants of an ended process may take to die of SIGKILL.
const EXTINGUISH_WITHIN: Duration = Duration::from_secs(5);

/// How long a server that is already there has to accept a connection.
const LOOK: Duration = Duration::from_millis(200);

/// The variable by which a linked process learns where to serve its control endpoint.
const SOCKET_VARIABLE: &str = "STEADFAST_FAULT_SOCKET";

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
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: ProcessConfig,
    shared: Arc<Shared>,
    log: PathBuf,
    url: watch::Sender<Option<String>>,
    state: Mutex<State>,
    /// Held while the process is started or ended.
    operation: Mutex<()>,
}

#[derive(Debug)]
struct State {
    instance: Option<Arc<Instance>>,
    starts: u32,
    end: End,
}

/// The process between one start and its end.
#[derive(Debug)]
struct Instance {
    identity: Identity,
    opened: Opened,
    log_from: u64,
    ready: AtomicBool,
    expected: Mutex<Option<Expected>>,
    exit: Exit,
    waiter: Mutex<Option<JoinHandle<()>>>,
}

/// Who is about to end the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Stop,
    Kill(Signal),
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

    /// Starts the process; it is not ready when this returns.
    pub(crate) fn launch(&self) -> Result<(), Error> {
        let _operation = self.inner.operation.lock();
        let Inner { config, shared, .. } = &*self.inner;
        let name = || config.name.clone();
        // Looked at under the operation's lock: whoever closes the system stops each process under it afterwards.
        if self.is_closed() {
            return Err(Error::Closed { name: name() });
        }
        if self.running().is_some() {
            return Err(Error::Running { name: name() });
        }
        let before = self.inner.state.lock().instance.clone();
        if let Some(before) = before {
            self.finish(&before)?;
        }
        let mut command = self.command()?;
        self.see_that_the_address_is_free()?;
        let program = PathBuf::from(command.get_program());
        self.remove_stale_files()?;
        let log = OpenOptions::new().create(true).append(true).open(&self.inner.log);
        let log = log.and_then(|file| Ok((file.metadata()?.len(), file)));
        let (log_from, log) =
            log.map_err(|source| Error::File { name: name(), path: self.inner.log.clone(), source })?;
        command.env(MARKER_VARIABLE, shared.undo.marker());
        let spawn_error = |source| Error::Spawn { name: name(), program: program.clone(), source };
        let mut child = shared.spawner.spawn(command, &log).map_err(spawn_error)?;
        let identity = Identity::of(i32::try_from(child.id()).expect("pids are positive i32"));
        let identity = identity.expect("a child is in /proc until it is waited for");
        let opened =
            match shared.undo.open(&format!("start {}", config.name), Undo::Kill { leader: identity }) {
                Ok(opened) => opened,
                Err(error) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(error.into());
                }
            };
        let instance = Arc::new(Instance {
            identity,
            opened,
            log_from,
            ready: AtomicBool::new(false),
            expected: Mutex::new(None),
            exit: Exit::default(),
            waiter: Mutex::new(None),
        });
        {
            let mut state = self.inner.state.lock();
            state.instance = Some(Arc::clone(&instance));
            state.starts += 1;
            state.end = End::Running;
        }
        self.watch(child, &instance).map_err(spawn_error)
    }

    pub(crate) fn stop_blocking(&self) -> Result<(), Error> {
        let _operation = self.inner.operation.lock();
        let Some(instance) = self.inner.state.lock().instance.clone() else { return Ok(()) };
        if instance.exit.get().is_none() {
            *instance.expected.lock() = Some(Expected::Stop);
            let policy = self.inner.config.stop;
            self.send(policy.signal, instance.identity)?;
            // A stopped process receives the signal when it goes on.
            for member in family::of_leader(instance.identity) {
                self.send(Signal::Cont, member)?;
            }
            instance.exit.wait(policy.within);
        }
        self.finish(&instance)
    }

    pub(crate) fn kill_blocking(&self, signal: Signal, scope: Scope) -> Result<(), Error> {
        let _operation = self.inner.operation.lock();
        let instance = self.running().ok_or_else(|| self.not_running())?;
        let members = self.members(scope)?;
        let main_is_meant = members.contains(&instance.identity);
        if main_is_meant {
            *instance.expected.lock() = Some(Expected::Kill(signal));
            // First of all, so that it cannot replace the workers that die next.
            self.send(signal, instance.identity)?;
        }
        for member in members.into_iter().filter(|member| *member != instance.identity) {
            self.send(signal, member)?;
        }
        if !main_is_meant {
            return Ok(());
        }
        if instance.exit.wait(self.inner.config.stop.within).is_none() {
            self.send(Signal::Kill, instance.identity)?;
            instance.exit.wait(EXTINGUISH_WITHIN);
        }
        if scope == Scope::Group { self.finish(&instance) } else { Ok(()) }
    }

    /// Kills at once, without asking; for when nobody can wait.
    pub(super) fn kill_at_once(&self) {
        let _operation = self.inner.operation.lock();
        let instance = self.inner.state.lock().instance.clone();
        if let Some(instance) = instance {
            instance.expected.lock().get_or_insert(Expected::Stop);
            if let Err(error) = self.finish(&instance) {
                tracing::error!(process = self.name(), %error, "left behind");
            }
        }
    }

    /// Tells whether nothing of the system is started any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.inner.shared.closed.load(Ordering::Acquire)
    }

    pub(crate) fn not_running(&self) -> Error {
        Error::NotRunning { name: self.name().to_owned(), end: self.end().to_string() }
    }

    /// Kills what is left of the instance and its descendants, and writes down that nothing is.
    fn finish(&self, instance: &Instance) -> Result<(), Error> {
        self.send(Signal::Kill, instance.identity)?;
        let killed = extinguish(EXTINGUISH_WITHIN, || family::of_leader(instance.identity));
        killed.map_err(|survivors| self.signal_error(survivors.to_string()))?;
        instance.exit.wait(EXTINGUISH_WITHIN);
        let waiter = instance.waiter.lock().take();
        if let Some(waiter) = waiter {
            let _ = waiter.join();
        }
        self.inner.shared.undo.close(instance.opened, "run", "none of its processes is left")?;
        Ok(())
    }

    /// Awaits the end of `child` on a thread of its own and reports it if nobody here caused it.
    fn watch(&self, mut child: Child, instance: &Arc<Instance>) -> std::io::Result<()> {
        let (inner, watched) = (Arc::downgrade(&self.inner), Arc::clone(instance));
        let wait = move || {
            let status = child.wait().unwrap_or_else(|_| ExitStatus::from_raw(0));
            if let Some(inner) = inner.upgrade() {
                inner.ended(&watched, status);
            }
            watched.exit.set(status);
        };
        let thread = std::thread::Builder::new().name(format!("wait {}", self.name())).spawn(wait)?;
        *instance.waiter.lock() = Some(thread);
        Ok(())
    }

    fn command(&self) -> Result<Command, Error> {
        let Inner { config, shared, .. } = &*self.inner;
        let name = || config.name.clone();
        let (wanted, arguments) =
            config.command.split_first().ok_or_else(|| Error::EmptyCommand { name: name() })?;
        let SystemConfig { folder, bin_dirs } = &shared.config;
        let program = program::find(wanted, folder, bin_dirs).map_err(|searched| Error::NoProgram {
            name: name(),
            program: wanted.clone(),
            searched,
        })?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder).env_remove(SOCKET_VARIABLE);
        command.envs(config.env.iter().map(|(key, value)| (key, value)));
        if let Some(socket) = &config.control_socket {
            command.env(SOCKET_VARIABLE, socket);
        }
        Ok(command)
    }

    /// Another server at a fixed address would pass for this process: it would seem ready, and be measured.
    fn see_that_the_address_is_free(&self) -> Result<(), Error> {
        let Address::Url(url) = &self.inner.config.address else { return Ok(()) };
        let addresses = ready::authority(url).to_socket_addrs();
        let taken =
            addresses.into_iter().flatten().any(|address| TcpStream::connect_timeout(&address, LOOK).is_ok());
        if taken {
            Err(Error::AddressInUse { name: self.name().to_owned(), url: url.clone() })
        } else {
            Ok(())
        }
    }

    fn remove_stale_files(&self) -> Result<(), Error> {
        let config = &self.inner.config;
        let address = match &config.address {
            Address::File(path) => Some(path),
            _ => None,
        };
        for path in address.into_iter().chain(&config.control_socket) {
            match std::fs::remove_file(path) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::File { name: config.name.clone(), path: path.clone(), source });
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn running(&self) -> Option<Arc<Instance>> {
        self.inner.state.lock().instance.clone().filter(|instance| instance.exit.get().is_none())
    }

    fn send(&self, signal: Signal, to: Identity) -> Result<bool, Error> {
        signal.send(to).map_err(|error| self.signal_error(format!("{signal} to {to}: {error}")))
    }

    fn signal_error(&self, problem: String) -> Error {
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

impl Inner {
    fn ended(&self, instance: &Instance, status: ExitStatus) {
        let end = match *instance.expected.lock() {
            Some(Expected::Stop) => End::Stopped,
            // SIGKILL leaves no doubt who was faster; other signals may be answered by any way to end.
            Some(Expected::Kill(Signal::Kill)) if status.signal() != Some(Signal::Kill.number()) => {
                End::Died(describe(status))
            }
            Some(Expected::Kill(_)) => End::Killed,
            None => End::Died(describe(status)),
        };
        self.state.lock().end = end.clone();
        let End::Died(status) = end else { return };
        let death = Death {
            process: self.config.name.clone(),
            status,
            was_ready: instance.ready.load(Ordering::Acquire),
            output: last_lines(&self.log, instance.log_from),
            at: Instant::now(),
        };
        tracing::warn!(process = death.process, status = death.status, "a process ended by itself");
        // Nobody may listen any more; the end is in the state too.
        let _ = self.shared.deaths.send(death);
    }
}
