//! Taking what is posted.

mod answer;
mod body;
mod mode;
mod plain;
mod take;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use steadfast_base::{Clock, Deadline, SystemClock};
use steadfast_core::transport::{Error, Sink};
use tokio::sync::Semaphore;

pub use answer::DURABILITY_HEADER;
pub use take::Metrics;

use super::signature::{Keys, Replays};
use super::{Config, SYSTEM};
use take::Counters;

/// An endpoint that takes CloudEvents and hands them to a sink; see the [module](super) for what it answers.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use steadfast_backends::http::{Config, Intake, StoreSink};
/// use steadfast_core::store::MemoryStore;
///
/// let sink = StoreSink::new(Arc::new(MemoryStore::new()), |_| "posted".into());
/// let intake = Intake::new(Arc::new(sink), Config::default())?;
/// let app: axum::Router = axum::Router::new().nest("/events", intake.router());
/// # Ok::<(), steadfast_core::transport::Error>(())
/// ```
#[derive(Clone)]
pub struct Intake {
    shared: Arc<Shared>,
}

struct Shared {
    sink: Arc<dyn Sink>,
    config: Config,
    body_max: usize,
    keys: Option<Keys>,
    replays: Replays,
    clock: Arc<dyn Clock>,
    /// Closed when the intake is; all permits are free once nothing is in flight.
    permits: Semaphore,
    permits_max: u32,
    counters: Counters,
}

impl Intake {
    /// Hands what is posted to `sink`.
    ///
    /// # Errors
    /// [`Error::Configuration`] when the sink cannot achieve the durability, or the signature is not usable.
    pub fn new(sink: Arc<dyn Sink>, config: Config) -> Result<Self, Error> {
        Self::with_clock(sink, config, Arc::new(SystemClock))
    }

    /// Does as [`new`](Self::new), with a clock for signatures and for events that come without a time.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_clock(sink: Arc<dyn Sink>, config: Config, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let max = sink.capabilities().durability_max;
        if config.durability > max {
            let problem =
                format!("`{}` is more than `{max}`, the most that {} can", config.durability, sink.system());
            return Err(Error::Configuration { system: SYSTEM, field: "durability", problem });
        }
        let keys = config.signature.as_ref().map(Keys::new).transpose()?;
        let permits_max =
            u32::try_from(config.in_flight_max.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        Ok(Self {
            shared: Arc::new(Shared {
                sink,
                body_max: usize::try_from(config.body_max.bytes()).unwrap_or(usize::MAX),
                keys,
                replays: Replays::default(),
                clock,
                permits: Semaphore::new(permits_max as usize),
                permits_max,
                counters: Counters::default(),
                config,
            }),
        })
    }

    /// Returns a router that answers at `/`: nest it where events are to be posted.
    pub fn router(&self) -> Router {
        let answer =
            |State(shared): State<Arc<Shared>>, request: Request| async move { shared.answer(request).await };
        Router::new().route("/", any(answer)).with_state(Arc::clone(&self.shared))
    }

    /// Answers one request, for those who route by other means.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether the events are taken; nobody was told that they are.
    pub async fn answer(&self, request: Request) -> Response {
        self.shared.answer(request).await
    }

    /// Returns what was counted since the start.
    pub fn metrics(&self) -> Metrics {
        let in_flight =
            (self.shared.permits_max as usize).saturating_sub(self.shared.permits.available_permits());
        self.shared.counters.read(in_flight)
    }

    /// Takes no more, which is answered 503, and waits until what is in flight has been answered. The sink stays
    /// open. Closing twice is allowed.
    ///
    /// # Errors
    /// [`Error::DeadlineExceeded`] when requests are still in flight at `deadline`; they are answered all the same.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the intake closed.
    pub async fn close(&self, deadline: Deadline) -> Result<(), Error> {
        self.shared.counters.close();
        let idle = self.shared.permits.acquire_many(self.shared.permits_max);
        let idle = tokio::time::timeout_at(deadline.instant(), idle).await;
        // The permits are given back, so that closing twice is possible; nobody takes one any more.
        if idle.is_ok() { Ok(()) } else { Err(Error::DeadlineExceeded { system: SYSTEM }) }
    }
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake").field("config", &self.shared.config).finish_non_exhaustive()
    }
}
