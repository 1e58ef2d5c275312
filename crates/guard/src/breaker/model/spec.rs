//! What a breaker should do, written for reading: whole lists instead of counts, no locks, no counters per thread.

use super::super::state::{Outcome, nanos};
use super::super::window::Nanos;
use super::super::{BreakerPolicy, Phase, Window};

#[derive(Debug, Clone)]
pub(super) struct Spec {
    policy: BreakerPolicy,
    state: State,
    /// The number of the state; a call counts only in the one it began in.
    epoch: u64,
    /// The part of time in which the calls under way are looked at next.
    next_review: Nanos,
}

#[derive(Debug, Clone)]
enum State {
    Closed { outcomes: Vec<Ended>, failures_in_a_row: u32 },
    Open { until: Option<Nanos> },
    HalfOpen { until: Nanos, under_way: u32, succeeded: u32 },
}

/// A call that has ended.
#[derive(Debug, Clone, Copy)]
struct Ended {
    at: Nanos,
    failed: bool,
    slow: bool,
}

/// A call under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Under {
    epoch: u64,
    begun: Nanos,
}

impl Spec {
    pub(super) fn new(policy: BreakerPolicy) -> Self {
        let mut spec = Self {
            policy: policy.cut(),
            state: State::Closed { outcomes: Vec::new(), failures_in_a_row: 0 },
            epoch: 0,
            next_review: 0,
        };
        spec.close(0);
        spec
    }

    /// A call wants to begin: it may, or it is told how long to wait.
    pub(super) fn begin(&mut self, now: Nanos, under_way: &[Under]) -> Result<Under, Nanos> {
        self.time_passes(now, under_way);
        match &mut self.state {
            State::Closed { .. } => {}
            State::Open { until: None } => return Err(nanos(self.policy.open_for)),
            State::Open { until: Some(until) } => return Err(*until - now),
            State::HalfOpen { under_way, succeeded, .. } if *under_way + *succeeded < self.policy.probes => {
                *under_way += 1;
            }
            State::HalfOpen { .. } => return Err(0),
        }
        Ok(Under { epoch: self.epoch, begun: now })
    }

    /// A call ends, while `others` are under way.
    pub(super) fn end(&mut self, call: Under, outcome: Outcome, now: Nanos, others: &[Under]) {
        let is_slow = self.policy.slow_calls.is_some_and(|slow| now - call.begun > nanos(slow.longer_than));
        let failed = outcome == Outcome::Failed;
        if call.epoch == self.epoch {
            match &mut self.state {
                State::Closed { outcomes, failures_in_a_row } if outcome != Outcome::Abandoned || is_slow => {
                    outcomes.push(Ended { at: now, failed, slow: is_slow });
                    match outcome {
                        Outcome::Succeeded => *failures_in_a_row = 0,
                        Outcome::Failed => *failures_in_a_row += 1,
                        Outcome::Abandoned => {}
                    }
                    self.forget(now);
                    if failed && self.fails_too_often() || is_slow && self.is_slow_too_often(now, others) {
                        self.trip(now);
                    }
                }
                State::HalfOpen { .. } if failed || is_slow => self.trip(now),
                State::HalfOpen { under_way, succeeded, .. } => {
                    *under_way -= 1;
                    if outcome == Outcome::Succeeded {
                        *succeeded += 1;
                        if *succeeded == self.policy.probes {
                            self.close(now);
                        }
                    }
                }
                State::Closed { .. } | State::Open { .. } => {}
            }
        }
        if let State::Closed { .. } = self.state {
            self.time_passes(now, others);
        }
    }

    pub(super) fn hold_open(&mut self) {
        self.epoch += 1;
        self.state = State::Open { until: None };
    }

    pub(super) fn close(&mut self, now: Nanos) {
        self.epoch += 1;
        self.state = State::Closed { outcomes: Vec::new(), failures_in_a_row: 0 };
        self.next_review = self.part(now) + 1;
    }

    pub(super) fn phase(&self) -> Phase {
        match self.state {
            State::Closed { .. } => Phase::Closed,
            State::Open { .. } => Phase::Open,
            State::HalfOpen { .. } => Phase::HalfOpen,
        }
    }

    pub(super) fn policy(&self) -> &BreakerPolicy {
        &self.policy
    }

    pub(super) fn is_held_open(&self) -> bool {
        matches!(self.state, State::Open { until: None })
    }

    /// Returns how many calls lie in the window.
    pub(super) fn calls_in_window(&self) -> usize {
        if let State::Closed { outcomes, .. } = &self.state { outcomes.len() } else { 0 }
    }

    /// Returns all that the future depends on, with times as differences to `now`, for calls that are not older than
    /// `age_max`.
    pub(super) fn key(&mut self, now: Nanos, under_way: &[Under], age_max: Nanos) -> Vec<u64> {
        self.forget(now);
        let mut key = Vec::new();
        match &self.state {
            State::Closed { outcomes, failures_in_a_row } => {
                key.push(u64::from(*failures_in_a_row));
                key.extend([0, self.next_review.saturating_sub(self.part(now))]);
                // Only what the window can still tell apart.
                let slice = |at: Nanos| self.slice(now) - self.slice(at);
                key.push(self.slice_offset(now));
                key.extend(outcomes.iter().map(|ended| {
                    slice(ended.at) << 2 | u64::from(ended.failed) << 1 | u64::from(ended.slow)
                }));
            }
            State::Open { until } => {
                key.extend([1, until.map_or(u64::MAX, |until| until.saturating_sub(now))]);
            }
            State::HalfOpen { until, under_way, succeeded } => {
                key.extend([2, until.saturating_sub(now), u64::from(*under_way), u64::from(*succeeded)]);
            }
        }
        let mut calls: Vec<u64> = under_way
            .iter()
            .map(|call| (now - call.begun).min(age_max) << 1 | u64::from(call.epoch == self.epoch))
            .collect();
        calls.sort_unstable();
        key.push(u64::MAX);
        key.extend(calls);
        key
    }

    fn time_passes(&mut self, now: Nanos, under_way: &[Under]) {
        match self.state {
            State::Closed { .. } if self.part(now) >= self.next_review => {
                self.forget(now);
                self.next_review = self.part(now) + 1;
                if self.is_slow_too_often(now, under_way) {
                    self.trip(now);
                }
            }
            State::Open { until: Some(until) } if now >= until => {
                self.epoch += 1;
                let until = now + nanos(self.policy.probing_for);
                self.state = State::HalfOpen { until, under_way: 0, succeeded: 0 };
            }
            State::HalfOpen { until, under_way, succeeded }
                if under_way + succeeded == self.policy.probes && now >= until =>
            {
                self.trip(now);
            }
            _ => {}
        }
    }

    fn trip(&mut self, now: Nanos) {
        self.epoch += 1;
        self.state = State::Open { until: Some(now + nanos(self.policy.open_for)) };
    }

    fn fails_too_often(&self) -> bool {
        let State::Closed { outcomes, failures_in_a_row } = &self.state else { return false };
        let failures = outcomes.iter().filter(|ended| ended.failed).count();
        self.policy.consecutive_failures.is_some_and(|most| *failures_in_a_row >= most)
            || outcomes.len() >= self.policy.calls_min as usize
                && failures as f64 >= self.policy.failure_ratio * outcomes.len() as f64
    }

    fn is_slow_too_often(&self, now: Nanos, under_way: &[Under]) -> bool {
        let (State::Closed { outcomes, .. }, Some(policy)) = (&self.state, self.policy.slow_calls) else {
            return false;
        };
        let hangs = |call: &&Under| {
            call.epoch == self.epoch && self.part(call.begun) + policy.parts() < self.part(now)
        };
        let hanging = under_way.iter().filter(hangs).count();
        let slow = hanging + outcomes.iter().filter(|ended| ended.slow).count();
        let calls = hanging + outcomes.len();
        slow > 0 && calls >= self.policy.calls_min as usize && slow as f64 >= policy.ratio * calls as f64
    }

    /// Forgets what has left the window.
    fn forget(&mut self, now: Nanos) {
        let slice = self.slice(now);
        let policy = self.policy;
        let State::Closed { outcomes, .. } = &mut self.state else { return };
        match policy.window {
            Window::Calls(calls) => drop(outcomes.drain(..outcomes.len().saturating_sub(calls as usize))),
            Window::Time(time) => {
                let width = nanos(time) / Window::SLICES as u64;
                outcomes.retain(|ended| ended.at / width + Window::SLICES as u64 > slice);
            }
        }
    }

    fn slice(&self, at: Nanos) -> u64 {
        match self.policy.window {
            Window::Calls(_) => 0,
            Window::Time(time) => at / (nanos(time) / Window::SLICES as u64),
        }
    }

    fn slice_offset(&self, now: Nanos) -> u64 {
        match self.policy.window {
            Window::Calls(_) => 0,
            Window::Time(time) => now % (nanos(time) / Window::SLICES as u64),
        }
    }

    /// Returns in which part of time `at` lies, as far as slow calls are concerned.
    fn part(&self, at: Nanos) -> u64 {
        self.policy.slow_calls.map_or(0, |slow| at >> slow.part_log2())
    }
}
