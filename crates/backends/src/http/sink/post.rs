use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use steadfast_base::{Clock, Deadline, SystemClock};
use steadfast_core::Event;
use steadfast_core::store::Durability;
use steadfast_core::transport::{Capabilities, Error, Link, LinkState, Ordering, Sink, link};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use super::connect::{self, Connector};
use super::request::Form;
use super::{Mode, SinkConfig, answer};
use crate::http::SYSTEM;

/// How long to wait after 429 where the other side does not say.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Posts events to a URL.
///
/// One request at a time is on its way, so that all events arrive in the order in which they were sent, whatever their
/// keys; use batched mode where that is too slow. Connections are kept alive. A failed request is not repeated: the
/// caller decides that, with the same events. After 429 nothing was taken, so that the same request is posted again
/// after `Retry-After`, if that is before the deadline; else it is [`Error::Overloaded`].
///
/// # Examples
/// ```
/// use steadfast_backends::http::{HttpSink, SinkConfig};
///
/// let sink = HttpSink::new(&SinkConfig { url: "http://127.0.0.1:8080/events".into(), ..SinkConfig::default() })?;
/// # Ok::<(), steadfast_core::transport::Error>(())
/// ```
pub struct HttpSink {
    client: Client<Connector, Full<Bytes>>,
    form: Form,
    per_request: usize,
    durability: Durability,
    answer_within: Duration,
    clock: Arc<dyn Clock>,
    /// Held by who sends.
    turn: Mutex<()>,
    link: watch::Sender<Link>,
    closed: CancellationToken,
    aborted: CancellationToken,
}

impl HttpSink {
    /// Makes a sink. It connects when something is sent.
    ///
    /// # Errors
    /// [`Error::Configuration`].
    pub fn new(config: &SinkConfig) -> Result<Self, Error> {
        Self::with_clock(config, Arc::new(SystemClock))
    }

    /// Does as [`new`](Self::new), with a clock for the times of signatures.
    ///
    /// # Errors
    /// [`Error::Configuration`].
    pub fn with_clock(config: &SinkConfig, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let form = Form::new(config)?;
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(config.idle_max.0)
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(1)
            .build(connect::connector(&form.uri, &config.tls, config.connect_within.0)?);
        Ok(Self {
            client,
            form,
            per_request: if config.mode == Mode::Batched { config.batch_max.max(1) } else { 1 },
            durability: config.durability,
            answer_within: config.answer_within.0,
            clock,
            turn: Mutex::default(),
            link: link().0,
            closed: CancellationToken::new(),
            aborted: CancellationToken::new(),
        })
    }

    /// Posts `events`, and counts in `sent` how many arrived.
    async fn post_all(
        &self,
        events: &[Event],
        deadline: Deadline,
        sent: &mut usize,
    ) -> Result<Durability, Error> {
        let _turn = self.turn.lock().await;
        let mut lowest = Durability::Replicated;
        for events in events.chunks(self.per_request) {
            loop {
                if self.closed.is_cancelled() {
                    return Err(Error::Closed);
                }
                match self.post(events).await {
                    Ok(achieved) => {
                        lowest = lowest.min(achieved);
                        break;
                    }
                    Err(Error::Overloaded { retry_after, .. })
                        if retry_after.unwrap_or(RETRY_AFTER) < deadline.remaining() =>
                    {
                        tokio::select! {
                            () = tokio::time::sleep(retry_after.unwrap_or(RETRY_AFTER)) => {}
                            () = self.closed.cancelled() => return Err(Error::Closed),
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
            *sent += events.len();
        }
        Ok(lowest)
    }

    async fn post(&self, events: &[Event]) -> Result<Durability, Error> {
        let request = self.form.request(events, self.clock.now())?;
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| unavailable(&error))?;
            answer::read(response, self.durability).await
        };
        let answered = tokio::time::timeout(self.answer_within, exchange).await;
        let answered = answered.unwrap_or(Err(Error::DeadlineExceeded { system: SYSTEM }));
        self.report(&answered);
        answered
    }

    fn report(&self, answered: &Result<Durability, Error>) {
        self.link.send_if_modified(|link| {
            let next = match (&*link, answered) {
                (Link::Closed, _) => Link::Closed,
                (before, Err(error @ (Error::Unavailable { .. } | Error::DeadlineExceeded { .. }))) => {
                    let attempts = if let Link::Down { attempts, .. } = before { attempts + 1 } else { 0 };
                    Link::Down { attempts, reason: error.to_string().into() }
                }
                _ => Link::Up,
            };
            let changes = *link != next;
            *link = next;
            changes
        });
    }
}

impl Sink for HttpSink {
    fn system(&self) -> &'static str {
        SYSTEM
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Ordering::PerKey, self.durability)
    }

    fn send<'a>(
        &'a self,
        events: &'a [Event],
        durability: Durability,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Durability, Error>> {
        Box::pin(async move {
            let unsupported =
                || Error::Unsupported { system: SYSTEM, what: format!("durability `{durability}`") };
            if durability > self.durability {
                return Err(unsupported());
            }
            if events.is_empty() {
                return Ok(durability);
            }
            let mut sent = 0;
            let posted = tokio::select! {
                biased;
                () = self.aborted.cancelled() => Err(Error::Closed),
                posted = self.post_all(events, deadline, &mut sent) => posted,
                () = tokio::time::sleep_until(deadline.instant()) => Err(Error::DeadlineExceeded { system: SYSTEM }),
            };
            match posted {
                // The other side says that it has achieved less than it is configured to.
                Ok(achieved) if achieved < durability => Err(unsupported()),
                // Some have arrived, so that nobody may believe that nothing was sent.
                Err(Error::Overloaded { .. }) if sent > 0 => Err(Error::DeadlineExceeded { system: SYSTEM }),
                posted => posted,
            }
        })
    }

    fn link(&self) -> LinkState {
        self.link.subscribe()
    }

    fn close(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            self.closed.cancel();
            let idle = tokio::time::timeout_at(deadline.instant(), self.turn.lock()).await.is_ok();
            self.aborted.cancel();
            self.link.send_replace(Link::Closed);
            if idle { Ok(()) } else { Err(Error::DeadlineExceeded { system: SYSTEM }) }
        })
    }
}

impl std::fmt::Debug for HttpSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The query may hold what is nobody's business.
        f.debug_struct("HttpSink").field("host", &self.form.uri.host()).finish_non_exhaustive()
    }
}

/// Makes one line of an error and its causes.
fn unavailable(error: &hyper_util::client::legacy::Error) -> Error {
    let mut reason = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        reason.push_str(": ");
        reason.push_str(&error.to_string());
        cause = error.source();
    }
    Error::Unavailable { system: SYSTEM, reason }
}
