//! The server under load, in a process of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use bytes::Bytes;
use steadfast_backends::http::{Config, HttpSource};
use steadfast_core::transport::{Outcome, Receiver, Settlement, Source as _, Subscribe, memory};

const ASKED: &str = "STEADFAST_BENCH_SERVE_HTTP";

pub(super) struct Server {
    pub(super) url: String,
    child: Child,
}

/// Serves until standard input ends, if this process was started for that; says whether it was.
pub(crate) fn serve_if_asked() -> anyhow::Result<bool> {
    if std::env::var_os(ASKED).is_none() {
        return Ok(false);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    writeln!(std::io::stdout(), "http://{}/", listener.local_addr()?)?;
    let source = HttpSource::new("posted", Config::default(), memory::Config::default())?;
    let receiver =
        runtime.block_on(source.open(&Subscribe { in_flight_max: 4096, ..Subscribe::new("bench") }))?;
    runtime.spawn(async move { handle(&*receiver).await });
    let bare = async |body: Bytes| {
        std::hint::black_box(body);
        StatusCode::ACCEPTED
    };
    let router = Router::new().nest("/events", source.router()).route("/bare", post(bare));
    runtime.spawn(async move { axum::serve(listener, router).await });
    // The pipe closes when the benchmark ends, however it ends.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(true)
}

/// Handles whatever is received.
async fn handle(receiver: &dyn Receiver) {
    while let Ok(events) = receiver.receive(1024).await {
        let handled = events.iter().map(|event| Settlement { token: event.token, outcome: Outcome::Handled });
        if events.is_empty() || receiver.settle(&handled.collect::<Vec<_>>()).await.is_err() {
            return;
        }
    }
}

impl Server {
    pub(super) fn start() -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .env(ASKED, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the server")?;
        let mut url = String::new();
        BufReader::new(child.stdout.take().context("the server's output")?).read_line(&mut url)?;
        Ok(Self { url: url.trim().to_owned(), child })
    }

    /// Returns the CPU time that the server has used; other work on the machine moves it less than it moves rates.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // Fields 14 and 15, counted from 1; the second is a name in parentheses. Linux counts in hundredths.
        let (_, fields) = stat.rsplit_once(") ").context("the server's state")?;
        let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
        Ok(Duration::from_millis(ticks * 10))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
