//! The callers, and what they see.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use steadfast_base::{Context, ContextMut, Deadline, Priority, Rng, TraceContext};
use tokio::time::{Instant, sleep, sleep_until};
use tower_service::Service;

use crate::testing::bare::Done;

/// A call with a deadline and a priority, which may be repeated.
#[derive(Debug, Clone)]
pub struct Ask {
    /// When the caller gives up.
    pub deadline: Deadline,
    /// How much it matters.
    pub priority: Priority,
}

impl Context for Ask {
    fn deadline(&self) -> Option<Deadline> {
        Some(self.deadline)
    }
    fn trace(&self) -> Option<TraceContext> {
        None
    }
    fn key(&self) -> Option<&str> {
        Some("ask")
    }
    fn operation(&self) -> &str {
        "ask"
    }
    fn priority(&self) -> Priority {
        self.priority
    }
}

impl ContextMut for Ask {
    fn set_deadline(&mut self, deadline: Deadline) {
        self.deadline = deadline;
    }
}

/// How much is asked for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Calls per second, at random moments (a Poisson process).
    pub rate: f64,
    /// For how long calls are sent.
    pub length: Duration,
    /// How long a caller waits for an answer; whoever answers later answers nobody.
    pub patience: Duration,
    /// The share of calls that matter most; 0.0 to 1.0.
    pub matters_most: f64,
}

impl Default for Load {
    /// 100 calls per second for 5 s, whose callers wait 200 ms. One in five matters most.
    fn default() -> Self {
        Self {
            rate: 100.0,
            length: Duration::from_secs(5),
            patience: Duration::from_millis(200),
            matters_most: 0.2,
        }
    }
}

/// What became of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// When it was sent, counted from the begin.
    pub at: Duration,
    /// How long the answer took; `None`: none came within the caller's patience, or a failure.
    pub served: Option<Duration>,
    /// How long the caller waited for an answer or a failure, at most its patience.
    pub waited: Duration,
    /// How much it mattered.
    pub priority: Priority,
}

/// What callers saw, in the order in which they asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Each call.
    pub calls: Vec<Asked>,
    /// For how long calls were sent.
    pub length: Duration,
}

impl Load {
    /// Sends calls to clones of `service`, whatever becomes of them, and waits until the last caller has given up.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the calls that were sent to their end.
    pub async fn offer<S>(&self, service: &S, rng: &mut Rng) -> Seen
    where
        S: Service<Ask, Response = Done> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Send,
    {
        let calls: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let start = Instant::now();
        let mut at = 0.0;
        loop {
            at -= (1.0 - rng.unit()).ln() / self.rate;
            let due = Duration::from_secs_f64(at);
            if due >= self.length {
                break;
            }
            sleep_until(start + due).await;
            let priority =
                if rng.chance(self.matters_most) { Priority::CriticalPlus } else { Priority::Critical };
            let (now, patience) = (Instant::now(), self.patience);
            let index = {
                let mut calls = calls.lock();
                calls.push(Asked { at: now - start, served: None, waited: patience, priority });
                calls.len() - 1
            };
            let (mut service, calls) = (service.clone(), Arc::clone(&calls));
            tokio::spawn(async move {
                let ask = Ask { deadline: Deadline::at(now + patience), priority };
                let is_ready = poll_fn(|cx| service.poll_ready(cx)).await.is_ok();
                let is_served = is_ready && service.call(ask).await.is_ok();
                let took = now.elapsed();
                let asked = &mut calls.lock()[index];
                asked.served = (is_served && took <= patience).then_some(took);
                asked.waited = took.min(patience);
            });
        }
        sleep_until(start + self.length).await;
        // Also those whose answer comes at the last moment are counted.
        sleep(self.patience + Duration::from_millis(1)).await;
        let calls = calls.lock().clone();
        Seen { calls, length: self.length }
    }
}

impl Seen {
    /// Returns the calls that were sent from `from` until before `to`.
    #[must_use]
    pub fn between(&self, from: Duration, to: Duration) -> Self {
        let calls = self.calls.iter().filter(|call| (from..to).contains(&call.at)).copied().collect();
        Self { calls, length: to.saturating_sub(from) }
    }

    /// Returns how many calls per second were answered in time.
    pub fn goodput(&self) -> f64 {
        self.served().count() as f64 / self.length.as_secs_f64()
    }

    /// Returns how many calls per second were sent.
    pub fn offered(&self) -> f64 {
        self.calls.len() as f64 / self.length.as_secs_f64()
    }

    /// Returns the time within which the share `quantile` (0.0 to 1.0) of those that were served had their answer;
    /// `None` if none was.
    pub fn latency(&self, quantile: f64) -> Option<Duration> {
        let mut sorted: Vec<Duration> = self.served().collect();
        sorted.sort_unstable();
        let rank = (sorted.len() as f64 * quantile).ceil() as usize;
        sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied()
    }

    /// Returns the share of the calls of a priority that were answered in time; 1.0 if there was none.
    pub fn served_share(&self, priority: Priority) -> f64 {
        let (mut asked, mut served) = (0_u32, 0_u32);
        for call in self.calls.iter().filter(|call| call.priority == priority) {
            asked += 1;
            served += u32::from(call.served.is_some());
        }
        if asked == 0 { 1.0 } else { f64::from(served) / f64::from(asked) }
    }

    fn served(&self) -> impl Iterator<Item = Duration> {
        self.calls.iter().filter_map(|call| call.served)
    }
}
