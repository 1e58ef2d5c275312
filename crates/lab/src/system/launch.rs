//! Starting a process.

use std::fs::OpenOptions;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use parking_lot::Mutex;
use steadfast_fault::SOCKET_ENV;

use super::exit::Exit;
use super::family::{extinguish, of_leader};
use super::instance::{Inner, Instance};
use super::{Address, End, Error, Identity, MARKER_VARIABLE, Process, SystemConfig, program, ready};
use crate::undo::Undo;

/// How long a server that is already there has to accept a connection.
const LOOK: Duration = Duration::from_millis(200);

impl Process {
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
        self.watch(child, &instance).map_err(|source| {
            // Nobody would see its end.
            let _ = extinguish(Duration::from_secs(1), || of_leader(identity));
            instance.exit.set(ExitStatus::from_raw(libc::SIGKILL));
            spawn_error(source)
        })
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
        command.args(arguments).current_dir(folder).env_remove(SOCKET_ENV);
        command.envs(config.env.iter().map(|(key, value)| (key, value)));
        if let Some(socket) = &config.control_socket {
            command.env(SOCKET_ENV, socket);
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
}
