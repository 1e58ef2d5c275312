use std::io::{self, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::SocketAddrUnix;
use steadfast_base::{Class, Classify, Seed};

use super::line::{self, Line};
use super::{Code, Hello, Refusal, Request, Response, socket};
use crate::{Fault, Lease, LeaseId};

/// A list of 320 leases with long ids fits.
const RESPONSE_MAX: usize = 1024 * 1024;

/// Asks a target over its control socket; blocking, one connection for each request.
///
/// # Examples
/// ```no_run
/// use std::time::Duration;
/// use steadfast_fault::control::Client;
///
/// let client = Client::new("/run/orders/fault.sock").with_timeout(Duration::from_millis(500));
/// let fault = serde_json::from_str(r#"{"runtime": {"stall": "300ms", "every": "1s"}}"#)?;
/// let id = "stall".parse()?;
/// client.inject(&id, &fault, Duration::from_secs(3), None)?;
/// let lease = client.revoke(&id)?;
/// println!("stalled {} times", lease.dose.stalls);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    path: PathBuf,
    timeout: Duration,
}

/// Why a target did not answer as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody listens at the path, or the connection broke: the target may not run, or not yet.
    #[error("control socket `{}`: {source}", path.display())]
    Unreachable {
        /// The path of the control socket.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The target did not answer in time: whether it did what was asked is not known, and asking again is safe.
    #[error("control socket `{}`: no answer in time", .0.display())]
    TimedOut(PathBuf),
    /// The target does not speak this protocol.
    #[error("control socket `{}`: not an answer of this protocol: {problem}", path.display())]
    Malformed {
        /// The path of the control socket.
        path: PathBuf,
        /// What is wrong with the answer.
        problem: String,
    },
    /// The target refused.
    #[error("refused: {0}")]
    Refused(Refusal),
}

impl Classify for ClientError {
    fn classify(&self) -> Class {
        match self {
            Self::Unreachable { .. } | Self::TimedOut(_) => Class::Transient,
            Self::Refused(refusal) if refusal.code == Code::Busy => Class::Transient,
            Self::Malformed { .. } | Self::Refused(_) => Class::Permanent,
        }
    }
}

impl Client {
    /// Creates a client of the control socket at `path` that gives up a request after 2 s. Nothing is connected
    /// yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), timeout: Duration::from_secs(2) }
    }

    /// Sets how long a request may take, from connecting to the answer.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Returns the path of the control socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Asks who listens.
    ///
    /// # Errors
    /// As for [`request`](Self::request).
    pub fn hello(&self) -> Result<Hello, ClientError> {
        match self.request(&Request::Hello {})? {
            Response::Hello(hello) => Ok(hello),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Injects `fault` until `ttl` from now, in whole milliseconds, unless it is renewed.
    ///
    /// # Errors
    /// As for [`request`](Self::request). Asking again after a timeout renews the lease.
    pub fn inject(
        &self,
        id: &LeaseId,
        fault: &Fault,
        ttl: Duration,
        seed: Option<Seed>,
    ) -> Result<Lease, ClientError> {
        let (id, fault, seed) = (id.clone(), fault.clone(), seed.map(Seed::value));
        self.lease(&Request::Inject { id, ttl_ms: millis(ttl), fault, seed })
    }

    /// Lets a lease end `ttl` from now, in whole milliseconds.
    ///
    /// # Errors
    /// As for [`request`](Self::request).
    pub fn renew(&self, id: &LeaseId, ttl: Duration) -> Result<Lease, ClientError> {
        self.lease(&Request::Renew { id: id.clone(), ttl_ms: millis(ttl) })
    }

    /// Ends a lease and returns what it did.
    ///
    /// # Errors
    /// As for [`request`](Self::request). Asking again after a timeout returns the same lease.
    pub fn revoke(&self, id: &LeaseId) -> Result<Lease, ClientError> {
        self.lease(&Request::Revoke { id: id.clone() })
    }

    /// Returns the leases that have ended and are remembered, oldest first, then the active ones.
    ///
    /// # Errors
    /// As for [`request`](Self::request).
    pub fn list(&self) -> Result<Vec<Lease>, ClientError> {
        match self.request(&Request::List {})? {
            Response::Leases(leases) => Ok(leases),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Sends one request and returns its answer, which is never [`Response::Refused`].
    ///
    /// # Errors
    /// [`ClientError`], whose class says whether asking again can help.
    pub fn request(&self, request: &Request) -> Result<Response, ClientError> {
        let deadline = Instant::now() + self.timeout;
        let stream = self.connect(deadline).map_err(|error| self.io(error))?;
        let mut line = serde_json::to_vec(request).map_err(|error| self.malformed(error.to_string()))?;
        line.push(b'\n');
        let mut stream = Deadlined { stream, deadline };
        stream.write_all(&line).map_err(|error| self.io(error))?;
        match line::read(&mut BufReader::new(stream), RESPONSE_MAX).map_err(|error| self.io(error))? {
            Line::Whole(line) => match serde_json::from_slice(&line) {
                Ok(Response::Refused(refusal)) => Err(ClientError::Refused(refusal)),
                Ok(response) => Ok(response),
                Err(error) => Err(self.malformed(error.to_string())),
            },
            Line::TooLong => Err(self.malformed(format!("the line is longer than {RESPONSE_MAX} bytes"))),
            Line::End => Err(self.io(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    fn lease(&self, request: &Request) -> Result<Lease, ClientError> {
        match self.request(request)? {
            Response::Lease(lease) => Ok(*lease),
            other => Err(self.unexpected(&other)),
        }
    }

    fn connect(&self, deadline: Instant) -> io::Result<UnixStream> {
        let address = SocketAddrUnix::new(&self.path)?;
        loop {
            match socket::connect(&address) {
                Ok(socket) => {
                    let stream = UnixStream::from(socket);
                    stream.set_nonblocking(false)?;
                    return Ok(stream);
                }
                // The target's queue of connections is full.
                Err(Errno::AGAIN) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(Errno::AGAIN) => return Err(io::ErrorKind::TimedOut.into()),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn io(&self, source: io::Error) -> ClientError {
        let path = self.path.clone();
        match source.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => ClientError::TimedOut(path),
            _ => ClientError::Unreachable { path, source },
        }
    }

    fn malformed(&self, problem: String) -> ClientError {
        ClientError::Malformed { path: self.path.clone(), problem }
    }

    fn unexpected(&self, response: &Response) -> ClientError {
        self.malformed(format!("it answers another question: {response:?}"))
    }
}

/// A connection of which every read and write ends at one deadline.
struct Deadlined {
    stream: UnixStream,
    deadline: Instant,
}

impl Deadlined {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl io::Read for Deadlined {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl io::Write for Deadlined {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
