use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Error, Launch, Server};

const MEND: &str = "install `postgresql`, or name the folder of its programs in STEADFAST_POSTGRES_BIN";
const GONE_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A PostgreSQL server on loopback with `wal_level=logical`, whose only user is [`Postgres::USER`].
///
/// PostgreSQL refuses to run as root: started by root, it runs as the system's user `postgres`. Its files are not
/// synced (`fsync=off`), so it survives SIGKILL, which is what tests do to it, but not the loss of power.
#[derive(Debug)]
pub struct Postgres {
    server: Server,
}

impl Postgres {
    /// The superuser, and the database to begin with.
    pub const USER: &'static str = "postgres";

    /// The superuser's password, asked for by SCRAM-SHA-256.
    pub const PASSWORD: &'static str = "steadfast-test";

    /// Makes a cluster in a temporary folder and starts a server on it.
    ///
    /// # Errors
    /// See [`Server::start`].
    pub fn start() -> Result<Self, Error> {
        Self::start_with(&[])
    }

    /// Does as [`start`](Self::start), with `settings` of `postgresql.conf` that come before the ones of its own.
    ///
    /// # Errors
    /// See [`Server::start`].
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Self, Error> {
        Self::start_in(&std::env::temp_dir(), settings)
    }

    /// Does as [`start_with`](Self::start_with), with the server's folder in `parent`, such as a
    /// [file system that loses power](crate::power).
    ///
    /// # Errors
    /// See [`Server::start`].
    pub fn start_in(parent: &Path, settings: &[(&str, &str)]) -> Result<Self, Error> {
        let launch = |address, folder: &Path| launch(address, folder, settings);
        Server::start_in(parent, "postgres", launch, is_ready).map(|server| Self { server })
    }

    /// Returns where it listens, the same after each restart.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Returns its folder, which holds its log and, in `data`, the cluster.
    pub fn folder(&self) -> &Path {
        self.server.folder()
    }

    /// Kills the postmaster and all its children with SIGKILL and waits until they are gone, so that nothing of
    /// them holds the shared memory when it is started again.
    pub fn kill(&mut self) {
        let Some(id) = self.server.id() else { return };
        // A stopped postmaster starts no child that would be missed below.
        signal(id, Signal::STOP);
        let children = children(id);
        for child in &children {
            signal(*child, Signal::KILL);
        }
        self.server.kill();
        let since = Instant::now();
        while since.elapsed() < GONE_WITHIN && children.iter().any(|child| runs(*child)) {
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Starts it again on the same port and cluster, after killing it if it runs; waits until it has recovered.
    ///
    /// # Errors
    /// See [`Server::restart`].
    pub fn restart(&mut self) -> Result<(), Error> {
        self.kill();
        self.server.restart()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

fn launch(address: SocketAddr, folder: &Path, settings: &[(&str, &str)]) -> Result<Launch, Error> {
    let failed = |program: &str| {
        let program = program.to_owned();
        move |source| Error::Start { program, source }
    };
    let bin = bin()?;
    let data = folder.join("data");
    std::fs::create_dir(&data).map_err(failed("initdb"))?;
    // The words of `setpriv` that run a program as whoever may run PostgreSQL. The signal of the parent's death is
    // lost where the user changes, so that it is set again here.
    let mut words: Vec<OsString> = ["--pdeathsig", "KILL"].map(OsString::from).to_vec();
    if rustix::process::geteuid().is_root() {
        words.extend(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"].map(OsString::from));
        let public = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder, public).map_err(failed("initdb"))?;
        run(Command::new("chown").arg("postgres:postgres").arg(&data), folder, "chown")?;
    }
    words.push("--".into());

    let password = folder.join("password");
    std::fs::write(&password, Postgres::PASSWORD).map_err(failed("initdb"))?;
    let mut initdb = Command::new("setpriv");
    initdb.args(&words).arg(bin.join("initdb")).arg("--pgdata").arg(&data).arg("--pwfile").arg(&password);
    initdb.args(["--username", Postgres::USER, "--auth", "scram-sha-256", "--encoding", "UTF8"]);
    initdb.args(["--no-locale", "--no-sync"]);
    run(&mut initdb, folder, "initdb")?;
    std::fs::remove_file(&password).map_err(failed("initdb"))?;

    words.push(bin.join("postgres").into());
    words.extend(["-D".into(), data.into_os_string(), "-p".into(), address.port().to_string().into()]);
    let own = [
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", ""),
        ("wal_level", "logical"),
        ("max_wal_senders", "64"),
        ("max_replication_slots", "128"),
        ("wal_sender_timeout", "10s"),
        ("max_connections", "300"),
        ("fsync", "off"),
        ("shared_buffers", "16MB"),
        ("log_min_messages", "warning"),
    ];
    let overridden = |name: &str| settings.iter().any(|(setting, _)| *setting == name);
    for (name, value) in own.iter().filter(|(name, _)| !overridden(name)).chain(settings) {
        words.extend(["-c".into(), format!("{name}={value}").into()]);
    }
    Ok(Launch { program: "setpriv".into(), arguments: words, environment: Vec::new() })
}

/// Returns the folder of the newest PostgreSQL's programs.
fn bin() -> Result<PathBuf, Error> {
    if let Some(folder) = std::env::var_os("STEADFAST_POSTGRES_BIN").map(PathBuf::from) {
        return Ok(folder);
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .map(|version| version.path())
        .filter(|folder| folder.join("bin/postgres").is_file())
        .max_by_key(|folder| folder.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()));
    match newest {
        Some(folder) => Ok(folder.join("bin")),
        None => {
            let postgres = crate::locate("postgres", "STEADFAST_POSTGRES", MEND)?;
            Ok(postgres.parent().map(Path::to_path_buf).unwrap_or_default())
        }
    }
}

/// Runs a step before the server's start.
fn run(command: &mut Command, folder: &Path, program: &str) -> Result<(), Error> {
    let failed = |source| Error::Start { program: program.to_owned(), source };
    let output = command.current_dir(folder).stdin(Stdio::null()).output().map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::NotReady {
        program: program.to_owned(),
        problem: format!("ended with {}", output.status),
        log: folder.join("server.log"),
        tail: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Says whether a session is let in: one is refused while the server still recovers.
fn is_ready(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_millis(200))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        let text = b"user\0postgres\0database\0postgres\0\0";
        let length = u32::try_from(text.len() + 8).unwrap_or_default();
        let mut startup = length.to_be_bytes().to_vec();
        startup.extend(196_608_u32.to_be_bytes());
        startup.extend(text);
        stream.write_all(&startup)?;
        let mut kind = [0];
        stream.read_exact(&mut kind)?;
        // A request to authenticate, rather than an error.
        Ok(&kind == b"R")
    };
    ask().unwrap_or(false)
}

fn signal(id: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

fn children(id: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

/// Says whether the process still holds resources, which a zombie does not.
fn runs(id: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    status.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[cfg(test)]
mod tests {
    use super::*;

    mod with_postgres {
        use super::*;

        #[test]
        fn it_is_killed_with_its_children_and_starts_again() {
            let mut postgres = Postgres::start().expect("it starts");
            let id = postgres.server.id().expect("it runs");
            let before = children(id);
            assert!(before.len() >= 3, "it has background processes");
            postgres.kill();
            assert!(!Server::accepts(postgres.address()));
            assert!(!before.iter().any(|child| runs(*child)));
            postgres.restart().expect("it starts again at once");
            assert!(is_ready(postgres.address()));
            let (folder, id) = (postgres.folder().to_owned(), postgres.server.id().expect("it runs"));
            let last = children(id);
            drop(postgres);
            assert!(!folder.exists() && !last.iter().any(|child| runs(*child)));
        }
    }
}
