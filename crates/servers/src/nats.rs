use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Error, Launch, Server, locate};

/// A NATS server with JetStream, whose streams are kept in its folder.
///
/// # Examples
/// ```no_run
/// let mut nats = steadfast_servers::Nats::start()?;
/// println!("{}", nats.url());
/// nats.kill();
/// nats.restart()?;
/// # Ok::<(), steadfast_servers::Error>(())
/// ```
#[derive(Debug)]
pub struct Nats(Server);

/// When JetStream syncs what it has stored, and what else stands in the configuration.
#[derive(Debug, Clone, Default)]
pub struct NatsSettings {
    /// Syncs before each acknowledgement (`sync_interval: always`), so that what is acknowledged survives the loss of
    /// power. Without it the server syncs every two minutes, and what is acknowledged survives the death of its
    /// process only.
    pub sync_always: bool,
    /// Further lines of the configuration, such as `authorization { token: "secret" }`.
    pub further: String,
}

impl Nats {
    /// Starts a server with its own defaults.
    ///
    /// # Errors
    /// [`Error::Missing`]; [`Error::Start`]; [`Error::NotReady`].
    pub fn start() -> Result<Self, Error> {
        Self::start_with(&NatsSettings::default())
    }

    /// Starts a server with `settings`.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(settings: &NatsSettings) -> Result<Self, Error> {
        Self::start_in(&std::env::temp_dir(), settings)
    }

    /// Does as [`start_with`](Self::start_with), with the server's folder in `parent`, such as a
    /// [file system that loses power](crate::power).
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_in(parent: &Path, settings: &NatsSettings) -> Result<Self, Error> {
        Server::start_in(
            parent,
            "nats-server",
            |address, folder| {
                let mend = "set STEADFAST_NATS_SERVER to the path of nats-server 2.10 or later";
                let program = locate("nats-server", "STEADFAST_NATS_SERVER", mend)?;
                let file = folder.join("nats.conf");
                let sync = if settings.sync_always { "sync_interval: always" } else { "" };
                let text = format!(
                    "listen: \"{address}\"\njetstream {{ store_dir: {:?}, {sync} }}\n{}\n",
                    folder.join("jetstream"),
                    settings.further
                );
                let failed = |source| Error::Start { program: "nats-server".to_owned(), source };
                std::fs::write(&file, text).map_err(failed)?;
                let arguments = vec![OsString::from("--config"), file.into()];
                Ok(Launch { program, arguments, environment: Vec::new() })
            },
            serves_streams,
        )
        .map(Self)
    }

    /// Returns the server's URL.
    pub fn url(&self) -> String {
        format!("nats://{}", self.0.address())
    }

    /// Returns where it listens, the same after each restart.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Returns the folder that holds its streams.
    pub fn folder(&self) -> PathBuf {
        self.0.folder().join("jetstream")
    }

    /// Kills it with SIGKILL and waits until it has ended.
    pub fn kill(&mut self) {
        self.0.kill();
    }

    /// Starts it again on the same port and data, after killing it if it runs.
    ///
    /// # Errors
    /// [`Error::Start`]; [`Error::NotReady`].
    pub fn restart(&mut self) -> Result<(), Error> {
        self.0.restart()
    }
}

/// Says whether the server introduces itself as one that serves streams.
fn serves_streams(address: SocketAddr) -> bool {
    let greeting = || -> std::io::Result<String> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_millis(200))?;
        stream.set_read_timeout(Some(Duration::from_millis(500)))?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line)
    };
    greeting().is_ok_and(|line| line.starts_with("INFO ") && line.contains("\"jetstream\":true"))
}

#[cfg(test)]
mod with_nats {
    use super::*;

    #[test]
    fn it_is_killed_and_started_again() {
        let mut server = Nats::start().expect("the server starts");
        let address = server.address();
        server.kill();
        assert!(!Server::accepts(address));
        server.restart().expect("the server starts again");
        assert!(server.url().ends_with(&address.to_string()) && Server::accepts(address));
    }
}
