//! The breaker against a specification of it: [over all interleavings](explore) up to a bound, and [over random
//! ones](random) with random policies.

mod explore;
mod random;
mod spec;

use std::time::Duration;

use tokio::time::{Instant, advance};

use self::spec::{Spec, Under};
use super::state::{Outcome, nanos};
use super::window::Nanos;
use super::{Breaker, BreakerPolicy, Permit, Phase};

/// What can happen next.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A call begins on a stripe.
    Begin(usize),
    /// A call under way ends.
    End(usize, Outcome),
    Pass(Duration),
    Open,
    Close,
}

/// A call under way: its permit, and what the specification knows of it.
#[derive(Debug)]
struct Call {
    permit: Permit,
    under: Under,
}

/// A real breaker with its calls, and the specification beside it.
#[derive(Debug)]
struct World {
    breaker: Breaker,
    spec: Spec,
    calls: Vec<Call>,
    start: Instant,
    /// Whether permits of dropped calls are leaked, as a defect that must be found.
    leaks: bool,
}

impl World {
    fn new(policy: BreakerPolicy, leaks: bool) -> Self {
        let (breaker, spec) = (Breaker::new("model", policy), Spec::new(policy));
        Self { breaker, spec, calls: Vec::new(), start: Instant::now(), leaks }
    }

    /// Takes a step on both, and says where they differ.
    async fn step(&mut self, step: Step) -> Result<(), String> {
        let now = self.now();
        match step {
            Step::Begin(stripe) => {
                let under: Vec<Under> = self.calls.iter().map(|call| call.under).collect();
                let (expected, got) = (self.spec.begin(now, &under), self.breaker.acquire_on(stripe, None));
                match (expected, got) {
                    (Ok(under), Ok(permit)) => self.calls.push(Call { permit, under }),
                    (Err(wait), Err(open)) if wait == nanos(open.retry_after) => {}
                    (expected, got) => {
                        return Err(format!("expected {expected:?}, got {got:?}, {:?}", self.spec));
                    }
                }
            }
            Step::End(which, outcome) => {
                let Call { permit, under } = self.calls.remove(which);
                let others: Vec<Under> = self.calls.iter().map(|call| call.under).collect();
                self.spec.end(under, outcome, now, &others);
                match outcome {
                    Outcome::Succeeded => permit.succeed(),
                    Outcome::Failed => permit.fail(),
                    Outcome::Abandoned if self.leaks => std::mem::forget(permit),
                    Outcome::Abandoned => drop(permit),
                }
            }
            Step::Pass(time) => advance(time).await,
            Step::Open => {
                self.spec.hold_open();
                self.breaker.open();
            }
            Step::Close => {
                self.spec.close(now);
                self.breaker.close();
            }
        }
        if self.breaker.phase() != self.spec.phase() {
            return Err(format!("the breaker is {:?}, expected {:?}", self.breaker.phase(), self.spec));
        }
        if !self.leaks && self.breaker.in_flight() != self.calls.len() {
            return Err(format!(
                "{} calls are under way, not {}",
                self.breaker.in_flight(),
                self.calls.len()
            ));
        }
        Ok(())
    }

    /// Says whether the breaker closes once the callee is well, with all calls still hanging.
    async fn resolves(&mut self) -> Result<(), String> {
        if self.spec.is_held_open() {
            return Ok(());
        }
        let policy = *self.spec.policy();
        for _ in 0..4 + 2 * policy.probes {
            advance(policy.open_for.max(policy.probing_for)).await;
            if let Ok(permit) = self.breaker.acquire(None) {
                permit.succeed();
            }
            if self.breaker.phase() == Phase::Closed {
                return Ok(());
            }
        }
        Err(format!("it does not close though the callee is well: {:?}", self.breaker))
    }

    fn now(&self) -> Nanos {
        nanos(self.start.elapsed())
    }
}

/// Runs `future` with a clock that stands still until it is moved.
fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(future)
}
