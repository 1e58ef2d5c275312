use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use steadfast::base::{Backoff, Context, Deadline, Jitter, Rng, Seed, TraceContext};
use steadfast::core::process::{self, Port, StepError};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::call::{Ask, Call, CallError, Sent};
use super::confirm::{Confirm, Input, Step};
use super::confirmation::Reason;
use super::dependency::{Dependencies, Dependency};
use crate::orders::command::{Error, Orders};
use crate::orders::domain::{Line, OrderId};
use crate::proto::{inventory, payment};

/// How long a call in the background may take, repetitions included.
const BACKGROUND_CALL: Duration = Duration::from_secs(3);
/// How many confirmations in the background may call at once.
const BACKGROUND_CALLS_MAX: usize = 64;
/// How long to wait before a call in the background is made again.
pub(super) const BACKGROUND_WAIT: Backoff = Backoff {
    initial: Duration::from_millis(50),
    max: Duration::from_secs(5),
    factor: 2.0,
    jitter: Jitter::Full,
};
/// How long a step may be tried in the background before the confirmation is given up and taken back.
const STEP_WITHIN: Duration = Duration::from_secs(300);

/// Does and undoes the steps of confirmations.
///
/// While a caller waits, failure is definite: after the guards' repetitions the step is given up. Once the caller's
/// time is up, it is tried in the background for up to five minutes.
#[derive(Clone)]
pub struct Services(Arc<Shared>);

struct Shared {
    orders: Arc<Orders>,
    dependencies: Dependencies,
    callers: Mutex<HashMap<Arc<str>, Caller>>,
    background: Semaphore,
    stopping: CancellationToken,
    persistent: bool,
    rng: Mutex<Rng>,
}

/// Who waits for a confirmation.
#[derive(Debug, Clone, Default)]
struct Caller {
    /// Until when; none: as long as it takes.
    deadline: Option<Deadline>,
    /// Why it will be told that the confirmation failed.
    failing: Option<Reason>,
}

impl Services {
    /// Makes the port. One that is not `persistent` gives up at the first failure in the background too. Once
    /// `stopping` is cancelled, no call is repeated.
    pub fn new(
        orders: Arc<Orders>,
        dependencies: Dependencies,
        stopping: CancellationToken,
        persistent: bool,
    ) -> Self {
        Self(Arc::new(Shared {
            orders,
            dependencies,
            callers: Mutex::default(),
            background: Semaphore::new(BACKGROUND_CALLS_MAX),
            stopping,
            persistent,
            rng: Mutex::new(Seed::random().stream("confirmations")),
        }))
    }

    /// Takes note of who waits for a confirmation until when, before it is started.
    pub(super) fn expect(&self, process: Arc<str>, deadline: Option<Deadline>) {
        self.0.callers.lock().insert(process, Caller { deadline, failing: None });
    }

    /// Returns why a confirmation will have failed, if it is being taken back.
    pub(super) fn failing(&self, process: &str) -> Option<Reason> {
        self.0.callers.lock().get(process)?.failing.clone()
    }

    /// Forgets who waits, after a confirmation has ended.
    pub(super) fn forget(&self, process: &str) {
        self.0.callers.lock().remove(process);
    }
}

impl Shared {
    /// Makes a call: first in the caller's time, then in the background.
    async fn call(
        &self,
        dependency: &Dependency,
        call: &process::Call<Confirm>,
        ask: Ask,
    ) -> Result<(), StepError> {
        let (trace, ask, sent) = (call.trace(), Arc::new(ask), Sent::default());
        // Without a caller it is resumed, and nobody waits.
        let nobody = || Some(Deadline::within(Duration::ZERO));
        let deadline =
            self.callers.lock().get(&call.input().process_id()).map_or_else(nobody, |caller| caller.deadline);
        let late = || deadline.is_some_and(Deadline::is_expired);
        if !late() {
            match attempt(dependency, trace, &ask, deadline, &sent).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_refusal() => return Err(refused(dependency, &error)),
                Err(error) if late() || error.is_out_of_time() => {
                    tracing::debug!(%error, "the caller's time is up");
                }
                Err(error) => return Err(given_up(dependency, &error, &sent)),
            }
        }
        let give_up = Deadline::within(STEP_WITHIN);
        for repetition in 0.. {
            match self.in_background(dependency, trace, &ask, &sent).await {
                Ok(()) => break,
                Err(error) if error.is_refusal() => return Err(refused(dependency, &error)),
                Err(error) if give_up.is_expired() || !self.persistent => {
                    return Err(given_up(dependency, &error, &sent));
                }
                Err(error) => tracing::debug!(%error, "once more in the background"),
            }
            self.wait(repetition).await;
        }
        Ok(())
    }

    /// Waits before the next attempt.
    async fn wait(&self, repetition: u32) {
        let wait = BACKGROUND_WAIT.delay(repetition, &mut self.rng.lock());
        if self.stopping.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            // Not given up but left to the next start: the driver drops this when it closes.
            std::future::pending::<()>().await;
        }
    }

    async fn in_background(
        &self,
        dependency: &Dependency,
        trace: Option<TraceContext>,
        ask: &Arc<Ask>,
        sent: &Sent,
    ) -> Result<(), CallError> {
        let _slot = self.background.acquire().await.expect("never closed");
        attempt(dependency, trace, ask, Some(Deadline::within(BACKGROUND_CALL)), sent).await
    }

    async fn confirm(&self, id: OrderId) -> Result<(), StepError> {
        for repetition in 0.. {
            match self.orders.complete_confirmation(id).await {
                Ok(()) => break,
                Err(Error::Refused(refused)) => return Err(StepError::refused(refused.to_string())),
                // It may be in the log all the same, so it cannot be given up: what is confirmed must not be taken back.
                Err(error) => tracing::warn!(order = %id, %error, "a confirmation waits for the log"),
            }
            self.wait(repetition).await;
        }
        Ok(())
    }
}

impl Port<Confirm> for Services {
    async fn execute(&self, call: process::Call<Confirm>) -> Result<(), StepError> {
        let (id, shared) = (call.input().order, &self.0);
        let Dependencies { inventory, payment } = &shared.dependencies;
        let done = match call.step() {
            Step::Reserve => shared.call(inventory, &call, reserve(call.key(), call.input())).await,
            Step::Charge => shared.call(payment, &call, charge(call.key(), call.input())).await,
            Step::Confirm => shared.confirm(id).await,
        };
        if let Err(error) = &done {
            tracing::warn!(order = %id, step = ?call.step(), %error, "a confirmation is taken back");
            if let Some(caller) = shared.callers.lock().get_mut(&call.input().process_id()) {
                caller.failing = Some(error.into());
            }
        }
        done
    }

    async fn undo(&self, call: process::Call<Confirm>) -> Result<(), StepError> {
        let (key, shared) = (call.key(), &self.0);
        let (dependency, ask) = match call.step() {
            Step::Reserve => (&shared.dependencies.inventory, release(key, call.input())),
            Step::Charge => (&shared.dependencies.payment, void(key, call.input())),
            Step::Confirm => return Err(StepError::refused("a confirmed order stays so")),
        };
        let undone = shared.in_background(dependency, call.trace(), &Arc::new(ask), &Sent::default()).await;
        undone.map_err(|error| StepError::unknown(format!("{}: {error}", dependency.name())))
    }
}

impl From<&StepError> for Reason {
    fn from(error: &StepError) -> Self {
        match error {
            StepError::Refused { reason } => Self::Refused(reason.clone()),
            StepError::Unknown { reason } | StepError::NotSent { reason } => {
                Self::Unavailable(reason.clone())
            }
        }
    }
}

async fn attempt(
    dependency: &Dependency,
    trace: Option<TraceContext>,
    ask: &Arc<Ask>,
    deadline: Option<Deadline>,
    sent: &Sent,
) -> Result<(), CallError> {
    let call = Call::new(Arc::clone(ask), deadline, trace).noted_in(sent);
    dependency.call(call).await.map(|_| ())
}

fn refused(dependency: &Dependency, error: &CallError) -> StepError {
    StepError::refused(format!("{} refused: {error}", dependency.name()))
}

/// Makes the error of a step whose attempts are over: what was never sent need not be undone.
fn given_up(dependency: &Dependency, error: &CallError, sent: &Sent) -> StepError {
    let reason = format!("{}: {error}", dependency.name());
    if sent.is_sent() { StepError::unknown(reason) } else { StepError::not_sent(reason) }
}

fn reserve(key: &str, input: &Input) -> Ask {
    let line = |line: &Line| inventory::Line { sku: line.sku.to_string(), quantity: line.quantity.get() };
    let lines = input.details.lines.iter().map(line).collect();
    Ask::Reserve(inventory::ReserveRequest { key: key.to_owned(), order_id: input.order.to_string(), lines })
}

fn release(key: &str, input: &Input) -> Ask {
    Ask::Release(inventory::ReleaseRequest { key: key.to_owned(), order_id: input.order.to_string() })
}

fn charge(key: &str, input: &Input) -> Ask {
    let total = input.details.total;
    Ask::Charge(payment::ChargeRequest {
        key: key.to_owned(),
        order_id: input.order.to_string(),
        amount_minor: total.amount_minor(),
        currency: total.currency().to_string(),
    })
}

fn void(key: &str, input: &Input) -> Ask {
    Ask::Void(payment::VoidRequest { key: key.to_owned(), order_id: input.order.to_string() })
}
