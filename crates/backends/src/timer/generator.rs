use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use steadfast_base::{Clock, Deadline, Seed};
use steadfast_core::Event;
use steadfast_core::cloudevents::{foreign_id, rfc3339};
use steadfast_core::store::Durability;
use steadfast_core::transport::{Error, Sink};

use super::Config;
use super::missed::is_late;
use super::plan::Plan;

/// By how much a clock may be set back and be waited for.
const BACK_MAX: Duration = Duration::from_secs(3600);

/// Makes ticks for one group.
pub(super) struct Generator {
    pub(super) config: Arc<Config>,
    pub(super) plan: Arc<Plan>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) seed: Seed,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) counters: Arc<Counters>,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) ticks: AtomicU64,
    pub(super) late: AtomicU64,
    pub(super) gaps: AtomicU64,
}

impl Generator {
    /// Hands out ticks after `after` until the schedule ends or the sink is closed.
    pub(super) async fn run(self, mut after: SystemTime) {
        while let Some(next) = self.plan.next(after) {
            after = self.wait_for(next, after).await;
            let now = self.clock.now();
            let Some(newest) = self.newest(now).filter(|newest| *newest > after) else { continue };
            let late = |due| is_late(self.to_hand_out(due), now, self.config.late_after.0);
            let due = self.config.missed.decide(&self.plan, after, newest, late);
            self.counters.late.fetch_add(due.late as u64, Ordering::Relaxed);
            if due.gap {
                self.counters.gaps.fetch_add(1, Ordering::Relaxed);
                tracing::info!(timer = self.config.name, "missed ticks are left out");
            }
            for tick in due.ticks {
                if !self.hand_out(tick).await {
                    return;
                }
            }
            after = newest;
        }
        tracing::info!(timer = self.config.name, "the schedule has no more ticks");
    }

    /// Waits until the tick `next` is to be handed out, and returns after which tick to go on.
    async fn wait_for(&self, next: SystemTime, after: SystemTime) -> SystemTime {
        let at = self.to_hand_out(next);
        loop {
            let now = self.clock.now();
            if after.duration_since(now).is_ok_and(|back| back > BACK_MAX) {
                tracing::warn!(
                    timer = self.config.name,
                    "the clock was set back: going on from its new time"
                );
                return now;
            }
            let Ok(wait) = at.duration_since(now) else { return after };
            if wait.is_zero() {
                return after;
            }
            // In pieces, for the clock may be set meanwhile.
            tokio::time::sleep(wait.min(self.config.look_every.0.max(Duration::from_millis(1)))).await;
        }
    }

    /// Returns the newest tick that is to be handed out by `now`.
    fn newest(&self, now: SystemTime) -> Option<SystemTime> {
        let mut tick = self.plan.last(now)?;
        // With jitter the newest ticks may still have to wait.
        while self.to_hand_out(tick) > now {
            tick = self.plan.before(tick)?;
        }
        Some(tick)
    }

    /// Returns when a tick is to be handed out: its due time and its jitter.
    fn to_hand_out(&self, due: SystemTime) -> SystemTime {
        let jitter = self.config.jitter.0;
        if jitter.is_zero() {
            return due;
        }
        let nanos = due.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let drawn = self.seed.derive(&nanos.to_string()).rng().unit();
        due + jitter.mul_f64(drawn)
    }

    async fn hand_out(&self, due: SystemTime) -> bool {
        let tick = [self.event(due)];
        loop {
            let deadline = Deadline::within(Duration::from_secs(3600));
            match self.sink.send(&tick, Durability::Accepted, deadline).await {
                Ok(_) => {
                    self.counters.ticks.fetch_add(1, Ordering::Relaxed);
                    return true;
                }
                // The group still has all ticks that it may have.
                Err(Error::Overloaded { .. } | Error::DeadlineExceeded { .. }) => {}
                Err(_) => return false,
            }
        }
    }

    fn event(&self, due: SystemTime) -> Event {
        let Config { name, source, kind, .. } = &*self.config;
        let id = foreign_id(source, &format!("{name} {}", rfc3339::format(due)));
        Event::restore(id, source.as_str(), kind.as_str(), due).subject(name.as_str()).build()
    }
}
