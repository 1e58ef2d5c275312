//! A callee in simulated time, with more callers than it can serve.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use steadfast_base::{Rng, Seed};
use tokio::time::Instant;

/// Something that says how many calls may be under way.
pub(super) trait Limiter {
    fn limit(&self) -> u32;

    fn ended(&mut self, started: Instant, now: Instant, in_flight: u32, peak: u32);
}

/// A callee that serves `capacity` calls at a time, first in, first out.
pub(super) struct Callee {
    rng: Rng,
    start: Instant,
    now: Instant,
    pub(super) capacity: usize,
    /// How long a call is served, give or take a fifth.
    pub(super) service_time: Duration,
    /// How many calls there are at most, whatever the limit: less than the limit, callers ask for little.
    pub(super) callers: u32,
    waiting: VecDeque<Instant>,
    /// The ends of calls that are served, with their starts.
    serving: BinaryHeap<Reverse<(Instant, Instant)>>,
}

/// What came of a stretch of time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    /// Calls per second that were answered.
    pub(super) throughput: f64,
    pub(super) latency_mean: Duration,
    pub(super) limit_max: u32,
}

impl Callee {
    pub(super) fn new(seed: u64, capacity: usize, service_time: Duration, now: Instant) -> Self {
        Self {
            rng: Seed::new(seed).stream("callee"),
            start: now,
            now,
            capacity,
            service_time,
            callers: u32::MAX,
            waiting: VecDeque::new(),
            serving: BinaryHeap::new(),
        }
    }

    /// Runs for `length`, with always another call where the limit allows one.
    pub(super) fn run(&mut self, limiter: &mut impl Limiter, length: Duration) -> Stretch {
        let end = self.now + length;
        let (mut answered, mut latency) = (0_u32, Duration::ZERO);
        let mut limit_max = limiter.limit();
        loop {
            while self.in_flight() < limiter.limit().min(self.callers) {
                self.waiting.push_back(self.now);
            }
            while self.serving.len() < self.capacity
                && let Some(started) = self.waiting.pop_front()
            {
                let time = self.service_time.mul_f64(0.8 + 0.4 * self.rng.unit());
                self.serving.push(Reverse((self.now + time, started)));
            }
            let Some(Reverse((now, started))) = self.serving.pop() else { break };
            self.now = now;
            if now >= end {
                self.serving.push(Reverse((now, started)));
                break;
            }
            let in_flight = self.in_flight() + 1;
            limiter.ended(started, now, in_flight, in_flight);
            answered += 1;
            latency += now - started;
            limit_max = limit_max.max(limiter.limit());
        }
        Stretch {
            throughput: f64::from(answered) / length.as_secs_f64(),
            latency_mean: latency / answered.max(1),
            limit_max,
        }
    }

    /// Returns how long it has run.
    pub(super) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    fn in_flight(&self) -> u32 {
        (self.waiting.len() + self.serving.len()) as u32
    }
}
