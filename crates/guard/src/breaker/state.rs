//! The state machine, which knows no lock and no clock: time is an argument.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::BreakerPolicy;
use super::window::Window;

/// The phase that a breaker is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Calls pass.
    Closed,
    /// Calls are refused. It stays so until the first call after its time, which becomes a probe.
    Open,
    /// Probes are let through, all other calls are refused.
    HalfOpen,
}

impl Phase {
    /// Returns the name that logs and metrics use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// What a breaker has seen since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Calls that succeeded.
    pub succeeded: u64,
    /// Calls that failed, those among them that were dropped after their deadline.
    pub failed: u64,
    /// Calls that were dropped before their deadline.
    pub abandoned: u64,
    /// Calls that were refused.
    pub refused: u64,
    /// How often the breaker opened.
    pub opened: u64,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Succeeded,
    Failed,
    Abandoned,
}

/// A change of phase, to be told after the lock is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Transition {
    pub(super) from: Phase,
    pub(super) to: Phase,
}

#[derive(Debug)]
enum State {
    Closed {
        window: Window,
        consecutive_failures: u32,
    },
    Open {
        /// `None`: held open by hand.
        until: Option<Instant>,
    },
    HalfOpen {
        until: Instant,
        /// Probes that are under way or succeeded.
        admitted: u32,
        succeeded: u32,
    },
}

#[derive(Debug)]
pub(super) struct Machine {
    policy: BreakerPolicy,
    state: State,
    /// The number of the present state. An outcome that bears another number came too late to count.
    generation: u64,
    counts: Counts,
}

impl Machine {
    pub(super) fn new(policy: BreakerPolicy) -> Self {
        let policy = policy.cut();
        Self { policy, state: closed(&policy), generation: 0, counts: Counts::default() }
    }

    /// Lets a call through and returns the generation that its outcome must bear, or refuses it and returns how long
    /// to wait. Reads the clock only when it matters.
    pub(super) fn admit(
        &mut self,
        now: impl FnOnce() -> Instant,
    ) -> (Result<u64, Duration>, Option<Transition>) {
        let mut transition = None;
        let retry_after = match &mut self.state {
            State::Closed { .. } => return (Ok(self.generation), None),
            State::Open { until: None } => self.policy.open_for,
            State::Open { until: Some(until) } => {
                let now = now();
                if now >= *until {
                    let until = later(now, self.policy.probing_for);
                    transition = self.change(State::HalfOpen { until, admitted: 1, succeeded: 0 });
                    return (Ok(self.generation), transition);
                }
                *until - now
            }
            State::HalfOpen { admitted, .. } if *admitted < self.policy.probes => {
                *admitted += 1;
                return (Ok(self.generation), None);
            }
            State::HalfOpen { until, .. } => {
                let now = now();
                if now >= *until {
                    transition = self.trip(now);
                    self.policy.open_for
                } else {
                    Duration::ZERO
                }
            }
        };
        self.counts.refused += 1;
        (Err(retry_after), transition)
    }

    /// Records how a call ended that was let through in `generation`.
    pub(super) fn record(
        &mut self,
        generation: u64,
        outcome: Outcome,
        now: impl FnOnce() -> Instant,
    ) -> Option<Transition> {
        match outcome {
            Outcome::Succeeded => self.counts.succeeded += 1,
            Outcome::Failed => self.counts.failed += 1,
            Outcome::Abandoned => self.counts.abandoned += 1,
        }
        if generation != self.generation {
            return None;
        }
        match &mut self.state {
            State::Closed { window, consecutive_failures } => match outcome {
                Outcome::Succeeded => {
                    window.push(false);
                    *consecutive_failures = 0;
                    None
                }
                Outcome::Failed => {
                    window.push(true);
                    *consecutive_failures += 1;
                    let in_a_row =
                        self.policy.consecutive_failures.is_some_and(|most| *consecutive_failures >= most);
                    let too_often = window.calls() >= self.policy.calls_min
                        && f64::from(window.failures())
                            >= self.policy.failure_ratio * f64::from(window.calls());
                    if in_a_row || too_often { self.trip(now()) } else { None }
                }
                Outcome::Abandoned => None,
            },
            State::Open { .. } => None,
            State::HalfOpen { admitted, succeeded, .. } => match outcome {
                Outcome::Succeeded => {
                    *succeeded += 1;
                    if *succeeded == self.policy.probes { self.close() } else { None }
                }
                Outcome::Failed => self.trip(now()),
                Outcome::Abandoned => {
                    *admitted -= 1;
                    None
                }
            },
        }
    }

    /// Opens and stays open until [`close`](Self::close).
    pub(super) fn hold_open(&mut self) -> Option<Transition> {
        if !matches!(self.state, State::Open { .. }) {
            self.counts.opened += 1;
        }
        self.change(State::Open { until: None })
    }

    /// Closes with an empty window.
    pub(super) fn close(&mut self) -> Option<Transition> {
        let state = closed(&self.policy);
        self.change(state)
    }

    pub(super) fn phase(&self) -> Phase {
        match self.state {
            State::Closed { .. } => Phase::Closed,
            State::Open { .. } => Phase::Open,
            State::HalfOpen { .. } => Phase::HalfOpen,
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    fn trip(&mut self, now: Instant) -> Option<Transition> {
        self.counts.opened += 1;
        self.change(State::Open { until: Some(later(now, self.policy.open_for)) })
    }

    fn change(&mut self, state: State) -> Option<Transition> {
        let from = self.phase();
        self.state = state;
        self.generation += 1;
        let to = self.phase();
        (from != to).then_some(Transition { from, to })
    }
}

fn closed(policy: &BreakerPolicy) -> State {
    State::Closed { window: Window::new(policy.window), consecutive_failures: 0 }
}

fn later(now: Instant, by: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
    now + by.min(FAR)
}
