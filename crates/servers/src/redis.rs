use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Error, Launch, Server, locate};

/// What a server says that has cut a part of its file and ends for that.
const CUT_AND_ENDED: &str = "the truncated file is not the last file";

/// Which Redis serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedisProgram {
    /// The one at the path in `STEADFAST_REDIS_SERVER`, or as installed.
    Redis,
    /// One of version 8 or later, at the path in `STEADFAST_REDIS8_SERVER`: it can be asked to sync.
    Redis8,
}

impl RedisProgram {
    fn locate(self) -> Result<PathBuf, Error> {
        match self {
            Self::Redis => {
                locate("redis-server", "STEADFAST_REDIS_SERVER", "install the package redis-server")
            }
            Self::Redis8 => {
                let mend = "run `cargo xtask test`, which obtains it, or name it by STEADFAST_REDIS8_SERVER";
                locate("redis-server-8", "STEADFAST_REDIS8_SERVER", mend)
            }
        }
    }
}

/// A Redis server. With [`Redis::start`] it keeps an append-only file which is synced before each answer
/// (`appendonly yes`, `appendfsync always`), so that what it has answered survives a SIGKILL and the loss of power.
///
/// # Examples
/// ```no_run
/// let mut redis = steadfast_servers::Redis::start()?;
/// println!("{}", redis.url());
/// redis.kill();
/// redis.restart()?;
/// # Ok::<(), steadfast_servers::Error>(())
/// ```
#[derive(Debug)]
pub struct Redis(Server);

impl Redis {
    /// Starts a server which syncs before it answers.
    ///
    /// # Errors
    /// [`Error::Missing`]; [`Error::Start`]; [`Error::NotReady`].
    pub fn start() -> Result<Self, Error> {
        Self::start_with(&[])
    }

    /// Starts a server with further settings of `redis.conf`, such as `("appendonly", "no")`; they override those of
    /// [`start`](Self::start). A setting `port` of `0` for a server that speaks TLS only on [`address`](Self::address)
    /// goes with `("tls-port", "PORT")`, in which `PORT` stands for the port.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Self, Error> {
        Self::start_in(RedisProgram::Redis, &std::env::temp_dir(), settings)
    }

    /// Does as [`start_with`](Self::start_with), by `program`, with the server's folder in `parent`, such as a
    /// [file system that loses power](crate::power).
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_in(program: RedisProgram, parent: &Path, settings: &[(&str, &str)]) -> Result<Self, Error> {
        let own = [("bind", "127.0.0.1"), ("port", "PORT"), ("save", ""), ("daemonize", "no")];
        let durable = [("appendonly", "yes"), ("appendfsync", "always")];
        let all = own.iter().chain(&durable).chain(settings);
        let tls = settings.iter().any(|(name, _)| *name == "tls-port");
        Server::start_in(
            parent,
            "redis-server",
            |address, folder| {
                let program = program.locate()?;
                let mut arguments = vec![OsString::from("--dir"), folder.into()];
                for (name, value) in all {
                    arguments.push(format!("--{name}").into());
                    arguments.push(value.replace("PORT", &address.port().to_string()).into());
                }
                Ok(Launch { program, arguments, environment: Vec::new() })
            },
            move |address| if tls { Server::accepts(address) } else { answers(address) },
        )
        .map(Self)
    }

    /// Returns the server's URL, without TLS.
    pub fn url(&self) -> String {
        format!("redis://{}", self.0.address())
    }

    /// Returns where it listens, the same after each restart.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Returns its folder, which holds its log and its files.
    pub fn folder(&self) -> &Path {
        self.0.folder()
    }

    /// Kills it with SIGKILL and waits until it has ended.
    pub fn kill(&mut self) {
        self.0.kill();
    }

    /// Starts it again on the same port and data, after killing it if it runs.
    ///
    /// One that was killed while it wrote its file anew may cut a part of it that is not the last, and end; it is started
    /// once more then.
    ///
    /// # Errors
    /// [`Error::Start`]; [`Error::NotReady`].
    pub fn restart(&mut self) -> Result<(), Error> {
        match self.0.restart() {
            Err(Error::NotReady { tail, .. }) if tail.contains(CUT_AND_ENDED) => self.0.restart(),
            restarted => restarted,
        }
    }
}

/// Says whether the server answers a ping: one that still loads its file does not, one that wants a password does.
fn answers(address: SocketAddr) -> bool {
    let ping = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_millis(200))?;
        stream.set_read_timeout(Some(Duration::from_millis(500)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 7];
        stream.read_exact(&mut answer)?;
        Ok(answer.starts_with(b"+PONG") || answer.starts_with(b"-NOAUTH"))
    };
    ping().unwrap_or(false)
}

#[cfg(test)]
mod with_redis {
    use super::*;

    #[test]
    fn it_is_killed_and_started_again() {
        let mut server = Redis::start().expect("the server starts");
        let address = server.address();
        server.kill();
        assert!(!Server::accepts(address));
        server.restart().expect("the server starts again");
        assert!(server.url().ends_with(&address.to_string()) && Server::accepts(address));
    }
}
