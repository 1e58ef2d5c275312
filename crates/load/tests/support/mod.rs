//! A scripted HTTP/1.1 server on loopback, with a thread of its own, so that what it does to its clients is exact.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use steadfast_load::{Arrival, Command, Recorder};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// What to send back: raw bytes, and whether the connection is closed behind them.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) bytes: String,
    pub(crate) close: bool,
}

impl Reply {
    pub(crate) fn status(status: u16, body: &str) -> Self {
        let length = body.len();
        let bytes = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n{body}");
        Self { bytes, close: false }
    }

    pub(crate) fn raw(bytes: &str) -> Self {
        Self { bytes: bytes.to_owned(), close: true }
    }

    pub(crate) fn after(self, delay: Duration) -> Answering {
        Box::pin(async move {
            tokio::time::sleep(delay).await;
            self
        })
    }

    pub(crate) fn now(self) -> Answering {
        Box::pin(async move { self })
    }
}

pub(crate) type Answering = Pin<Box<dyn Future<Output = Reply> + Send>>;
type Script = dyn Fn(Request) -> Answering + Send + Sync;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) connections: Arc<AtomicUsize>,
    stop: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(script: impl Fn(Request) -> Answering + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address"), script)
    }

    pub(crate) fn start_at(
        at: SocketAddr,
        script: impl Fn(Request) -> Answering + Send + Sync + 'static,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let listener = std::net::TcpListener::bind(at).expect("a port");
        listener.set_nonblocking(true).expect("an option");
        let address = listener.local_addr().expect("an address");
        let (stop, connections) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let (stopped, count) = (stop.clone(), connections.clone());
        let script: Arc<Script> = Arc::new(script);
        let serve = async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                stream.set_nodelay(true).expect("an option");
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, script.clone()));
            }
        };
        let thread = std::thread::spawn(move || {
            runtime.block_on(stopped.run_until_cancelled(serve));
        });
        Self { address, connections, stop, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
        self.thread.take().expect("joined once").join().expect("no panic in the server");
    }
}

async fn serve(mut stream: TcpStream, script: Arc<Script>) {
    let mut buffer = Vec::new();
    loop {
        let head_end = loop {
            if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break end + 4;
            }
            if !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
                return;
            }
        };
        let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
        let mut request = Request { head, body: String::new() };
        let length = request.header("content-length").map_or(0, |n| n.parse().expect("a length"));
        while buffer.len() < head_end + length {
            if !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
                return;
            }
        }
        request.body = String::from_utf8_lossy(&buffer[head_end..head_end + length]).into_owned();
        buffer.drain(..head_end + length);
        let reply = script(request).await;
        if stream.write_all(reply.bytes.as_bytes()).await.is_err() || reply.close {
            return;
        }
    }
}

/// Keeps all that it is told.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) commands: Mutex<Vec<Command>>,
    pub(crate) arrivals: Mutex<Vec<Arrival>>,
}

impl Recorder for Log {
    fn arrival(&self, arrival: Arrival) {
        self.arrivals.lock().push(arrival);
    }

    fn command(&self, command: Command) {
        self.commands.lock().push(command);
    }
}

impl Log {
    pub(crate) fn of_step(&self, step: usize) -> Vec<Command> {
        self.commands.lock().iter().filter(|command| command.step == step).cloned().collect()
    }
}
