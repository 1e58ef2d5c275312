use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, join_all};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use steadfast_base::{Classify, Clock, Deadline, SystemClock};
use steadfast_core::Event;
use steadfast_core::store::Durability;
use steadfast_core::transport::{Capabilities, Error, Link, LinkState, Ordering, Sink, link};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use super::answer::{self, Refused};
use super::connect::{self, Connector};
use super::request::Form;
use super::{Mode, SinkConfig};
use crate::http::SYSTEM;
use crate::sharded::shard_of;

/// How long to wait after 429 where the other side does not say.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Posts events to a URL.
///
/// By default one request at a time is on its way, so that all events arrive in the order in which they were sent,
/// whatever their keys. Where that is too slow, use batched mode, or more requests ([`SinkConfig::requests_max`]), which
/// keep the order of each key; one that fails stops the others after what they have on their way. Connections are kept
/// alive. A failed request is not repeated: the caller decides that, with the same events. After 429 nothing was taken,
/// so that the same request is posted again after `Retry-After`, if that is before the deadline; else it is
/// [`Error::Overloaded`].
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
    /// One for each lane of keys, held by who sends in it.
    turns: Box<[Mutex<()>]>,
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
            .pool_max_idle_per_host(config.requests_max as usize)
            .build(connect::connector(&form.uri, &config.tls, config.connect_within.0)?);
        Ok(Self {
            client,
            form,
            per_request: if config.mode == Mode::Batched { config.batch_max.max(1) } else { 1 },
            durability: config.durability,
            answer_within: config.answer_within.0,
            clock,
            turns: (0..config.requests_max).map(|_| Mutex::default()).collect(),
            link: link().0,
            closed: CancellationToken::new(),
            aborted: CancellationToken::new(),
        })
    }

    /// Posts `events`, the keys spread over the lanes, and counts in `sent` how many arrived.
    async fn post_all(
        &self,
        events: &[Event],
        deadline: Deadline,
        sent: &AtomicUsize,
    ) -> Result<Durability, Error> {
        let failed = AtomicBool::new(false);
        if let [turn] = &*self.turns {
            return self.post_lane(turn, events, deadline, sent, &failed).await;
        }
        let mut lanes: BTreeMap<u32, Vec<Event>> = BTreeMap::new();
        for event in events {
            let lane = shard_of(event.partition_key(), self.turns.len() as u32);
            lanes.entry(lane).or_default().push(event.clone());
        }
        let posting = lanes.iter().map(|(lane, events)| {
            self.post_lane(&self.turns[*lane as usize], events, deadline, sent, &failed)
        });
        let (posted, mut errors): (Vec<_>, Vec<_>) =
            join_all(posting).await.into_iter().partition(Result::is_ok);
        // One that repeating cannot mend first, for the others may be gone when all is repeated.
        errors.sort_by_key(|error| error.as_ref().is_err_and(|error| error.classify().is_retryable()));
        match errors.into_iter().next() {
            Some(error) => error,
            None => Ok(posted.into_iter().flatten().min().unwrap_or(self.durability)),
        }
    }

    /// Posts `events` one request after the other; ends without an error where another lane has failed.
    async fn post_lane(
        &self,
        turn: &Mutex<()>,
        events: &[Event],
        deadline: Deadline,
        sent: &AtomicUsize,
        failed: &AtomicBool,
    ) -> Result<Durability, Error> {
        let _turn = turn.lock().await;
        let (mut lowest, mut rest, mut size) = (Durability::Replicated, events, self.per_request);
        while !rest.is_empty() && !failed.load(SeqCst) {
            if self.closed.is_cancelled() {
                return Err(Error::Closed);
            }
            let (some, others) = rest.split_at(size.min(rest.len()));
            match self.post(some).await {
                Ok(achieved) => {
                    lowest = lowest.min(achieved);
                    sent.fetch_add(some.len(), SeqCst);
                    rest = others;
                }
                Err(Refused { too_long: true, .. }) if some.len() > 1 => size = some.len() / 2,
                Err(Refused { error: Error::Overloaded { retry_after, .. }, .. })
                    if retry_after.unwrap_or(RETRY_AFTER) < deadline.remaining() =>
                {
                    tokio::select! {
                        () = tokio::time::sleep(retry_after.unwrap_or(RETRY_AFTER)) => {}
                        () = self.closed.cancelled() => return Err(Error::Closed),
                    }
                }
                Err(Refused { error, .. }) => {
                    failed.store(true, SeqCst);
                    return Err(error);
                }
            }
        }
        Ok(lowest)
    }

    async fn post(&self, events: &[Event]) -> Result<Durability, Refused> {
        let request = self.form.request(events, self.clock.now())?;
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| unavailable(&error))?;
            answer::read(response, self.durability).await
        };
        let answered = tokio::time::timeout(self.answer_within, exchange).await;
        let answered = answered.unwrap_or(Err(Error::DeadlineExceeded { system: SYSTEM }.into()));
        self.report(answered.as_ref().err().map(|refused| &refused.error));
        answered
    }

    fn report(&self, error: Option<&Error>) {
        self.link.send_if_modified(|link| {
            let next = match (&*link, error) {
                (Link::Closed, _) => Link::Closed,
                (before, Some(error @ (Error::Unavailable { .. } | Error::DeadlineExceeded { .. }))) => {
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
            let sent = AtomicUsize::new(0);
            let posted = tokio::select! {
                biased;
                () = self.aborted.cancelled() => Err(Error::Closed),
                posted = self.post_all(events, deadline, &sent) => posted,
                () = tokio::time::sleep_until(deadline.instant()) => Err(Error::DeadlineExceeded { system: SYSTEM }),
            };
            match posted {
                // The other side says that it has achieved less than it is configured to.
                Ok(achieved) if achieved < durability => Err(unsupported()),
                // Some have arrived, so that nobody may believe that nothing was sent.
                Err(Error::Overloaded { .. }) if sent.load(SeqCst) > 0 => {
                    Err(Error::DeadlineExceeded { system: SYSTEM })
                }
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
            let idle = join_all(self.turns.iter().map(Mutex::lock));
            let idle = tokio::time::timeout_at(deadline.instant(), idle).await.is_ok();
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
