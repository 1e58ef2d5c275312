use std::ffi::OsString;
use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::Error;
use crate::port::Port;

const READY_WITHIN: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(10);
const TAIL_LINES: usize = 20;

/// How to run a server, with its port and folder filled in.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// What to add to its environment.
    pub environment: Vec<(OsString, OsString)>,
}

type Ready = Box<dyn Fn(SocketAddr) -> bool + Send + Sync>;

/// A server's process with its port and folder. Dropping it ends the process with SIGKILL and removes the folder.
pub struct Server {
    name: &'static str,
    launch: Launch,
    ready: Ready,
    port: Port,
    folder: TempDir,
    child: Option<Child>,
}

impl Server {
    /// Starts the server that `launch` makes for an address and a folder, and waits until it is `ready`, at most a
    /// minute.
    ///
    /// `ready` is asked with the address until it says yes; [`Server::accepts`] is one to use.
    ///
    /// # Errors
    /// What `launch` fails with; [`Error::Start`]; [`Error::NotReady`] with the end of the server's log.
    pub fn start(
        name: &'static str,
        launch: impl FnOnce(SocketAddr, &Path) -> Result<Launch, Error>,
        ready: impl Fn(SocketAddr) -> bool + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        Self::start_in(&std::env::temp_dir(), name, launch, ready)
    }

    /// Does as [`start`](Self::start), with the server's folder in `parent`, such as a
    /// [file system that loses power](crate::power).
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_in(
        parent: &Path,
        name: &'static str,
        launch: impl FnOnce(SocketAddr, &Path) -> Result<Launch, Error>,
        ready: impl Fn(SocketAddr) -> bool + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let failed = |source| Error::Start { program: name.to_owned(), source };
        let folder = tempfile::Builder::new().prefix(name).tempdir_in(parent).map_err(failed)?;
        let port = Port::reserve().map_err(failed)?;
        let launch = launch(port.address(), folder.path())?;
        let mut server = Self { name, launch, ready: Box::new(ready), port, folder, child: None };
        server.restart()?;
        Ok(server)
    }

    /// Says whether something accepts connections at `address`.
    pub fn accepts(address: SocketAddr) -> bool {
        TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
    }

    /// Returns where it listens, the same after each restart.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Returns its folder, which holds its data and its log.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the process's id while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Kills the process with SIGKILL and waits until it has ended.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Ends the process with SIGTERM, and with SIGKILL if it has not ended after ten seconds.
    pub fn stop(&mut self) {
        let Some(child) = &mut self.child else { return };
        if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let since = Instant::now();
        while since.elapsed() < STOP_WITHIN && matches!(child.try_wait(), Ok(None)) {
            std::thread::sleep(LOOK_EVERY);
        }
        self.kill();
    }

    /// Starts the process again, on the same port and data, after killing it if it runs; waits until it is ready.
    ///
    /// # Errors
    /// [`Error::Start`]; [`Error::NotReady`].
    pub fn restart(&mut self) -> Result<(), Error> {
        self.kill();
        let failed = |source| Error::Start { program: self.name.to_owned(), source };
        let log = self.log();
        let output = File::options().create(true).append(true).open(&log).map_err(failed)?;
        let errors = output.try_clone().map_err(failed)?;
        // The kernel ends the server with whoever started it, also when that was killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&self.launch.program).args(&self.launch.arguments);
        command.envs(self.launch.environment.iter().cloned()).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        self.child = Some(crate::spawn::spawn(command).map_err(failed)?);
        self.wait_until_ready()
    }

    fn wait_until_ready(&mut self) -> Result<(), Error> {
        let since = Instant::now();
        loop {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            // Were it not running, whoever answers would be somebody else.
            if ended.is_none() && (self.ready)(self.address()) {
                return Ok(());
            }
            let problem = match ended {
                Some(status) => format!("ended with {status}"),
                None if since.elapsed() > READY_WITHIN => format!("was not ready after {READY_WITHIN:?}"),
                None => {
                    std::thread::sleep(LOOK_EVERY);
                    continue;
                }
            };
            self.kill();
            let log = self.log();
            let text = std::fs::read(&log).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<&str> = text.lines().collect();
            let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
            return Err(Error::NotReady { program: self.name.to_owned(), problem, log, tail });
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("name", &self.name)
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn python(address: SocketAddr, _: &Path) -> Result<Launch, Error> {
        let port = address.port().to_string();
        let arguments = ["-m", "http.server", "--bind", "127.0.0.1", &port].map(OsString::from);
        let program = crate::locate("python3", "STEADFAST_PYTHON", "install python3")?;
        Ok(Launch { program, arguments: arguments.to_vec(), environment: Vec::new() })
    }

    #[test]
    fn a_server_is_killed_started_again_and_ended() {
        let mut server = Server::start("python3", python, Server::accepts).expect("python starts");
        let (address, first) = (server.address(), server.id());
        server.kill();
        assert!(!Server::accepts(address));
        server.restart().expect("python starts again");
        assert!(Server::accepts(address) && server.id() != first);
        server.stop();
        assert!(!Server::accepts(address));
        let folder = server.folder().to_owned();
        drop(server);
        assert!(!folder.exists());
    }

    #[test]
    fn a_server_outlives_the_thread_that_started_it() {
        let start = || Server::start("python3", python, Server::accepts).expect("python starts");
        let server = std::thread::spawn(start).join().expect("it does not panic");
        // The signal, if there was one, was sent before the thread could be joined; this lets it arrive.
        std::thread::sleep(Duration::from_millis(200));
        assert!(Server::accepts(server.address()));
    }

    #[test]
    fn a_server_that_ends_shows_its_log() {
        let launch = |_: SocketAddr, _: &Path| {
            let arguments = ["-c", "echo no such setting; exit 3"].map(OsString::from).to_vec();
            Ok(Launch { program: "/bin/sh".into(), arguments, environment: Vec::new() })
        };
        let error = Server::start("sh", launch, |_| false).expect_err("it ends").to_string();
        assert!(error.contains("exit status: 3") && error.contains("no such setting"), "{error}");
    }
}
