//! The server, and the way to it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use steadfast_base::Rng;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tower_service::Service;

use super::Ask;
use crate::Error;
use crate::testing::bare::Done;
use crate::testing::{Failure, TRANSIENT};

type Answer = Result<Done, Error<Failure>>;
type Boxed = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A server with so many permits, whose calls take a time, give or take a fifth. Clones share it.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_base::Seed;
/// use steadfast_guard::testing::overload::{Load, Server};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let server = Server::new(4, Duration::from_millis(20), Seed::new(1));
/// let load = Load { rate: 0.5 * server.capacity(), ..Load::default() };
/// let seen = load.offer(&server, &mut Seed::new(1).stream("arrivals")).await;
/// assert!(seen.goodput() > 0.9 * load.rate);
/// # });
/// ```
#[derive(Debug, Clone)]
pub struct Server {
    permits: Arc<Semaphore>,
    concurrency: usize,
    service_time: Duration,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    rng: Mutex<Rng>,
    mood: Mutex<Mood>,
}

/// How well the server is.
#[derive(Debug, Clone, Copy)]
struct Mood {
    slower_by: f64,
    fails: f64,
    stalls: (f64, Duration),
}

impl Server {
    /// Creates a server that works on `concurrency` calls at a time (1 or more), each of which takes `service_time` give
    /// or take a fifth.
    pub fn new(concurrency: usize, service_time: Duration, seed: steadfast_base::Seed) -> Self {
        let mood = Mood { slower_by: 1.0, fails: 0.0, stalls: (0.0, Duration::ZERO) };
        let rng = Mutex::new(seed.stream("server"));
        let state = State { rng, mood: Mutex::new(mood) };
        let permits = Arc::new(Semaphore::new(concurrency));
        Self { permits, concurrency, service_time, state: Arc::new(state) }
    }

    /// Returns how many calls it can serve in a second when it is well.
    pub fn capacity(&self) -> f64 {
        self.concurrency as f64 / self.service_time.as_secs_f64()
    }

    /// Makes calls that begin from now on take `factor` times as long; 1.0 is well again.
    pub fn slow_down(&self, factor: f64) {
        self.state.mood.lock().slower_by = factor;
    }

    /// Makes a share of the calls fail at once from now on, in a way that may pass; 0.0 to 1.0.
    pub fn fail(&self, share: f64) {
        self.state.mood.lock().fails = share;
    }

    /// Makes a share of the calls (0.0 to 1.0) take `longer` from now on.
    pub fn stall(&self, share: f64, longer: Duration) {
        self.state.mood.lock().stalls = (share, longer);
    }
}

impl Service<Ask> for Server {
    type Response = Done;
    type Error = Error<Failure>;
    type Future = Boxed;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Ask) -> Boxed {
        let (permits, state, service_time) =
            (Arc::clone(&self.permits), Arc::clone(&self.state), self.service_time);
        Box::pin(async move {
            let _permit = permits.acquire_owned().await.map_err(|_| TRANSIENT)?;
            let (took, fails) = {
                // It takes as long as the server is unwell when the work begins.
                let (mood, mut rng) = (*state.mood.lock(), state.rng.lock());
                let spread = 0.8 + 0.4 * rng.unit();
                let stalled = if rng.chance(mood.stalls.0) { mood.stalls.1 } else { Duration::ZERO };
                (service_time.mul_f64(spread * mood.slower_by) + stalled, rng.chance(mood.fails))
            };
            if fails {
                return Err(TRANSIENT);
            }
            sleep(took).await;
            Ok(Done)
        })
    }
}

/// The way to a service that does not notice when a caller goes: what was sent is worked on.
#[derive(Debug, Clone)]
pub struct Remote<S> {
    there: S,
    received: Arc<AtomicU64>,
}

impl<S> Remote<S> {
    /// Creates the way to `there`, a service with its own guards.
    pub fn new(there: S) -> Self {
        Self { there, received: Arc::default() }
    }

    /// Returns how many calls have come in there.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

impl<S> Service<Ask> for Remote<S>
where
    S: Service<Ask, Response = Done, Error = Error<Failure>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Done;
    type Error = Error<Failure>;
    type Future = Arriving;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, ask: Ask) -> Arriving {
        self.received.fetch_add(1, Ordering::Relaxed);
        let mut there = self.there.clone();
        Arriving(tokio::spawn(async move {
            std::future::poll_fn(|cx| there.poll_ready(cx)).await?;
            there.call(ask).await
        }))
    }
}

/// The answer of a [`Remote`]. Dropping it leaves the work to the end.
#[must_use = "futures do nothing unless polled"]
#[derive(Debug)]
pub struct Arriving(JoinHandle<Answer>);

impl Future for Arriving {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        Pin::new(&mut self.0).poll(cx).map(|joined| joined.unwrap_or(Err(TRANSIENT)))
    }
}
