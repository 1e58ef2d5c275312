use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use futures::future::BoxFuture;
use steadfast_base::Deadline;
use steadfast_core::Event;
use steadfast_core::store::Durability;
use steadfast_core::transport::memory::{self, Broker};
use steadfast_core::transport::{Capabilities, Error, LinkState, Receiver, Sink, Source, Subscribe};

use super::{Config, Intake, SYSTEM};

/// How long a request waits for room in the queue before it is answered 429.
const ROOM_WITHIN: Duration = Duration::from_millis(50);

/// What is posted, to be received: an [`Intake`] whose sink is a queue in this process.
///
/// The queue forgets with the process, so that 202 means [`Durability::Accepted`]. Where that is too little, let an
/// intake hand events to a store or a broker, and receive them from there. Until the first receiver has been opened
/// posting is answered 503, and 429 while the slowest group has the queue full.
///
/// # Examples
/// ```no_run
/// use steadfast_backends::http::{Config, HttpSource};
/// use steadfast_core::transport::{Source, Subscribe, memory};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let source = HttpSource::new("webhooks", Config::default(), memory::Config::default())?;
/// let receiver = source.open(&Subscribe::new("shipping")).await?;
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// axum::serve(listener, source.router()).await?;
/// # Ok(()) }
/// ```
pub struct HttpSource {
    intake: Intake,
    queue: Arc<dyn Source>,
    opened: Arc<AtomicBool>,
}

impl HttpSource {
    /// Makes a source called `name`, with room for as many events as `queue` says.
    ///
    /// # Errors
    /// [`Error::Configuration`] as [`Intake::new`].
    pub fn new(name: &str, config: Config, queue: memory::Config) -> Result<Self, Error> {
        let broker = Broker::new(queue);
        let opened = Arc::new(AtomicBool::new(false));
        let gate = Gate { queue: broker.sink(name), opened: Arc::clone(&opened) };
        Ok(Self { intake: Intake::new(Arc::new(gate), config)?, queue: broker.source(name), opened })
    }

    /// Returns a router that answers at `/`: nest it where events are to be posted.
    pub fn router(&self) -> Router {
        self.intake.router()
    }

    /// Returns the intake, which counts, and which is to be closed before the receivers.
    pub fn intake(&self) -> &Intake {
        &self.intake
    }
}

impl Source for HttpSource {
    fn system(&self) -> &'static str {
        SYSTEM
    }

    fn destination(&self) -> &str {
        self.queue.destination()
    }

    fn capabilities(&self) -> Capabilities {
        // What was posted before the first receiver was opened was refused.
        let mut capabilities = self.queue.capabilities();
        capabilities.seek = false;
        capabilities
    }

    fn open<'a>(&'a self, subscribe: &'a Subscribe) -> BoxFuture<'a, Result<Box<dyn Receiver>, Error>> {
        Box::pin(async {
            let receiver = self.queue.open(subscribe).await?;
            self.opened.store(true, Ordering::Release);
            Ok(receiver)
        })
    }
}

impl std::fmt::Debug for HttpSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpSource").field("destination", &self.destination()).finish_non_exhaustive()
    }
}

/// The queue, which takes nothing before somebody has asked for it, and lets nobody wait long.
struct Gate {
    queue: Arc<dyn Sink>,
    opened: Arc<AtomicBool>,
}

impl Sink for Gate {
    fn system(&self) -> &'static str {
        SYSTEM
    }

    fn capabilities(&self) -> Capabilities {
        self.queue.capabilities()
    }

    fn send<'a>(
        &'a self,
        events: &'a [Event],
        durability: Durability,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Durability, Error>> {
        if !self.opened.load(Ordering::Acquire) {
            let reason = "nobody has opened a receiver yet".to_owned();
            return Box::pin(async { Err(Error::Unavailable { system: SYSTEM, reason }) });
        }
        self.queue.send(events, durability, deadline.earliest(Deadline::within(ROOM_WITHIN)))
    }

    fn link(&self) -> LinkState {
        self.queue.link()
    }

    fn close(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        self.queue.close(deadline)
    }
}
