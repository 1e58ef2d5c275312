//! The state machine, which knows no lock and no clock: time is an argument.

use std::time::Duration;

use super::gate::Gates;
use super::window::{Nanos, Outcomes};
use super::{BreakerPolicy, Cause, Counts, Phase, SlowCalls};

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
    pub(super) cause: Cause,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one for each breaker, and it is closed nearly always")]
enum State {
    Closed {
        outcomes: Outcomes,
        consecutive_failures: u32,
    },
    Open {
        /// `None`: held open by hand.
        until: Option<Nanos>,
    },
    HalfOpen {
        until: Nanos,
        /// Probes that are under way or succeeded.
        admitted: u32,
        succeeded: u32,
    },
}

#[derive(Debug)]
pub(super) struct Machine {
    policy: BreakerPolicy,
    state: State,
    /// The number of the present state, from 1. An outcome that bears another number came too late to count.
    generation: u64,
    /// From when on the calls under way are to be looked at again.
    review_at: Nanos,
    counts: Counts,
}

impl Machine {
    /// Creates a machine that is closed, and opens `gates`.
    pub(super) fn new(policy: BreakerPolicy, gates: &Gates) -> Self {
        gates.open(1);
        let state = closed(&policy, 0);
        Self { policy, state, generation: 1, review_at: policy.next_review(0), counts: Counts::default() }
    }

    /// Lets a call through and returns the generation that its outcome must bear, or refuses it and returns how long
    /// to wait. Asked when the gates are shut or something is [due](Self::due).
    pub(super) fn admit(&mut self, now: Nanos, gates: &Gates) -> (Result<u64, Duration>, Option<Transition>) {
        self.settle(now, gates);
        let transition = self.review(now, gates);
        let admitted = match &mut self.state {
            State::Closed { .. } => Ok(self.generation),
            State::Open { until: None } => Err(self.policy.open_for),
            State::Open { until: Some(until) } => Err(Duration::from_nanos(*until - now)),
            State::HalfOpen { admitted, .. } if *admitted < self.policy.probes => {
                *admitted += 1;
                Ok(self.generation)
            }
            State::HalfOpen { .. } => Err(Duration::ZERO),
        };
        self.counts.refused += u64::from(admitted.is_err());
        (admitted, transition)
    }

    /// Records how a call ended that was let through in `generation`. If it was let through by a gate and succeeded
    /// in time, the gate is told instead.
    pub(super) fn record(
        &mut self,
        generation: u64,
        outcome: Outcome,
        slow: bool,
        now: Nanos,
        gates: &Gates,
    ) -> Option<Transition> {
        self.settle(now, gates);
        match outcome {
            Outcome::Succeeded => self.counts.succeeded += 1,
            Outcome::Failed => self.counts.failed += 1,
            Outcome::Abandoned => self.counts.abandoned += 1,
        }
        self.counts.slow += u64::from(slow);
        let transition =
            if generation == self.generation { self.count(outcome, slow, now, gates) } else { None };
        transition.or_else(|| self.look_at_slow(now, gates))
    }

    /// Counts the outcome of a call of this generation.
    fn count(&mut self, outcome: Outcome, slow: bool, now: Nanos, gates: &Gates) -> Option<Transition> {
        let failed = outcome == Outcome::Failed;
        match &mut self.state {
            // It says nothing about the callee.
            State::Closed { .. } if outcome == Outcome::Abandoned && !slow => None,
            State::Closed { outcomes, consecutive_failures } => {
                outcomes.add(failed, slow);
                *consecutive_failures = match outcome {
                    Outcome::Succeeded => 0,
                    Outcome::Failed => consecutive_failures.saturating_add(1),
                    // It was slow, but neither a failure nor a success: it has its place in the window alone.
                    Outcome::Abandoned => *consecutive_failures,
                };
                let cause = if failed { self.too_many_failures() } else { None };
                let cause = cause.or_else(|| if slow { self.too_many_slow(now, gates) } else { None });
                self.trip(cause?, now, gates)
            }
            State::Open { .. } => None,
            State::HalfOpen { .. } if failed || slow => self.trip(Cause::ProbeFailed, now, gates),
            State::HalfOpen { admitted, .. } if outcome == Outcome::Abandoned => {
                *admitted -= 1;
                None
            }
            State::HalfOpen { succeeded, .. } => {
                *succeeded += 1;
                if *succeeded < self.policy.probes {
                    return None;
                }
                self.change(closed(&self.policy, now), Cause::ProbesSucceeded, now, gates)
            }
        }
    }

    /// Does what time alone brings about.
    fn review(&mut self, now: Nanos, gates: &Gates) -> Option<Transition> {
        match self.state {
            State::Closed { .. } => self.look_at_slow(now, gates),
            State::Open { until: Some(until) } if now >= until => {
                let until = later(now, self.policy.probing_for);
                self.change(
                    State::HalfOpen { until, admitted: 0, succeeded: 0 },
                    Cause::TimePassed,
                    now,
                    gates,
                )
            }
            // Only when nobody else can be let through: a probe that begins late is as good as any.
            State::HalfOpen { until, admitted, .. } if admitted >= self.policy.probes && now >= until => {
                self.trip(Cause::ProbesHung, now, gates)
            }
            State::Open { .. } | State::HalfOpen { .. } => None,
        }
    }

    /// Looks at the calls under way of a closed breaker, once in each part of the time after which they are slow.
    fn look_at_slow(&mut self, now: Nanos, gates: &Gates) -> Option<Transition> {
        if self.phase() != Phase::Closed || now < self.review_at {
            return None;
        }
        self.review_at = self.policy.next_review(now);
        self.trip(self.too_many_slow(now, gates)?, now, gates)
    }

    /// Returns when a closed breaker must be asked though its gates are open.
    pub(super) fn due(&self) -> Nanos {
        match &self.state {
            State::Closed { outcomes, .. } => self.review_at.min(outcomes.slice_end()),
            State::Open { .. } | State::HalfOpen { .. } => Nanos::MAX,
        }
    }

    /// Changes the policy. `is_timed_anew` says that calls under way were timed in another way: they do not count then.
    pub(super) fn set_policy(
        &mut self,
        policy: BreakerPolicy,
        is_timed_anew: bool,
        now: Nanos,
        gates: &Gates,
    ) -> Option<Transition> {
        self.settle(now, gates);
        let old = std::mem::replace(&mut self.policy, policy);
        match &mut self.state {
            State::Closed { outcomes, .. } if old.window != policy.window => {
                *outcomes = outcomes.resized(policy.window, now);
            }
            // Probes that would not count any more make room for others.
            State::HalfOpen { admitted, succeeded, .. } if is_timed_anew => *admitted = *succeeded,
            // It has waited long enough by the new policy, or will have.
            State::Open { until: Some(until) } => *until = (*until).min(later(now, policy.open_for)),
            State::Closed { .. } | State::Open { .. } | State::HalfOpen { .. } => {}
        }
        if is_timed_anew {
            self.generation += 1;
            self.counts.succeeded += gates.shut();
            if self.phase() == Phase::Closed {
                gates.open(self.generation);
            }
        }
        self.review_at = policy.next_review(now);
        match self.state {
            State::HalfOpen { succeeded, .. } if succeeded >= policy.probes => {
                self.change(closed(&policy, now), Cause::ProbesSucceeded, now, gates)
            }
            _ => None,
        }
    }

    /// Opens and stays open until [`close`](Self::close).
    pub(super) fn hold_open(&mut self, now: Nanos, gates: &Gates) -> Option<Transition> {
        if !matches!(self.state, State::Open { .. }) {
            self.counts.opened += 1;
        }
        self.change(State::Open { until: None }, Cause::ByHand, now, gates)
    }

    /// Closes with an empty window.
    pub(super) fn close(&mut self, now: Nanos, gates: &Gates) -> Option<Transition> {
        let state = closed(&self.policy, now);
        self.change(state, Cause::ByHand, now, gates)
    }

    pub(super) fn phase(&self) -> Phase {
        match self.state {
            State::Closed { .. } => Phase::Closed,
            State::Open { .. } => Phase::Open,
            State::HalfOpen { .. } => Phase::HalfOpen,
        }
    }

    /// Returns what was counted, the successes at the gates too.
    pub(super) fn counts(&mut self, now: Nanos, gates: &Gates) -> Counts {
        self.settle(now, gates);
        self.counts
    }

    /// Returns what the machine keeps, with times as differences to `now`, so that a search tells states apart in
    /// which it keeps what it should not.
    #[cfg(test)]
    pub(super) fn fingerprint(&mut self, now: Nanos, gates: &Gates) -> [u64; 6] {
        self.settle(now, gates);
        match &self.state {
            State::Closed { outcomes, consecutive_failures } => {
                let tally = outcomes.tally();
                let review =
                    if self.review_at == Nanos::MAX { 0 } else { self.review_at.saturating_sub(now) };
                [0, tally.calls, tally.failures, tally.slow, u64::from(*consecutive_failures), review]
            }
            State::Open { until } => {
                [1, until.map_or(u64::MAX, |until| until.saturating_sub(now)), 0, 0, 0, 0]
            }
            State::HalfOpen { until, admitted, succeeded } => {
                [2, until.saturating_sub(now), u64::from(*admitted), u64::from(*succeeded), 0, 0]
            }
        }
    }

    /// Fetches the successes that the gates have counted. They came before what happens now, and within the slice of
    /// time that is under way, for the first call after its end settles.
    fn settle(&mut self, now: Nanos, gates: &Gates) {
        let State::Closed { outcomes, consecutive_failures } = &mut self.state else { return };
        let successes = gates.take_successes();
        if successes > 0 {
            outcomes.add_successes(successes);
            *consecutive_failures = 0;
            self.counts.succeeded += successes;
        }
        outcomes.advance(now);
    }

    /// Says whether a failure opens the breaker.
    fn too_many_failures(&self) -> Option<Cause> {
        let State::Closed { outcomes, consecutive_failures } = &self.state else { return None };
        if self.policy.consecutive_failures.is_some_and(|most| *consecutive_failures >= most) {
            return Some(Cause::ConsecutiveFailures { failures: *consecutive_failures });
        }
        let tally = outcomes.tally();
        let enough = tally.calls >= u64::from(self.policy.calls_min);
        let too_many = tally.failures as f64 >= self.policy.failure_ratio * tally.calls as f64;
        (enough && too_many).then_some(Cause::FailureRatio { failures: tally.failures, calls: tally.calls })
    }

    /// Says whether slow calls open the breaker: those that ended in the window, and those under way.
    fn too_many_slow(&self, now: Nanos, gates: &Gates) -> Option<Cause> {
        let (State::Closed { outcomes, .. }, Some(policy)) = (&self.state, self.policy.slow_calls) else {
            return None;
        };
        // A call that began before this part is longer under way than it may be.
        let part = (now >> policy.part_log2()).saturating_sub(policy.parts());
        let (tally, under_way) = (outcomes.tally(), gates.older_than(self.generation, part));
        let (slow, calls) = (tally.slow + under_way, tally.calls + under_way);
        let too_many = slow > 0 && slow as f64 >= policy.ratio * calls as f64;
        (calls >= u64::from(self.policy.calls_min) && too_many).then_some(Cause::SlowRatio {
            slow,
            under_way,
            calls,
        })
    }

    fn trip(&mut self, cause: Cause, now: Nanos, gates: &Gates) -> Option<Transition> {
        self.counts.opened += 1;
        self.change(State::Open { until: Some(later(now, self.policy.open_for)) }, cause, now, gates)
    }

    fn change(&mut self, state: State, cause: Cause, now: Nanos, gates: &Gates) -> Option<Transition> {
        let from = self.phase();
        self.state = state;
        self.generation += 1;
        // IMPORTANT: Shut first, and always: what the gates have counted belongs to the state that is left.
        self.counts.succeeded += gates.shut();
        let to = self.phase();
        if to == Phase::Closed {
            self.review_at = self.policy.next_review(now);
            gates.open(self.generation);
        }
        (from != to).then_some(Transition { from, to, cause })
    }
}

impl BreakerPolicy {
    /// Returns when the calls under way are to be looked at after `now`.
    fn next_review(&self, now: Nanos) -> Nanos {
        let next = |slow: SlowCalls| ((now >> slow.part_log2()) + 1) << slow.part_log2();
        self.slow_calls.map_or(Nanos::MAX, next)
    }
}

fn closed(policy: &BreakerPolicy, now: Nanos) -> State {
    State::Closed { outcomes: Outcomes::new(policy.window, now), consecutive_failures: 0 }
}

fn later(now: Nanos, by: Duration) -> Nanos {
    now.saturating_add(nanos(by))
}

/// Returns a duration in nanoseconds; more than 584 years are cut.
pub(super) fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
