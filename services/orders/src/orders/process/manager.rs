use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use steadfast_base::{Backoff, Deadline, Rng, Seed};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::call::{Ask, Call, CallError};
use super::confirmation::{Command, Confirmation, Reason};
use super::dependency::{Dependencies, Dependency};
use crate::host::Work;
use crate::orders::command::{Answer, Error, Orders, Started};
use crate::orders::domain::{Details, OrderId};
use crate::orders::log::Cause;
use crate::proto::{inventory, payment};

/// How long a call in the background may take, repetitions included.
const BACKGROUND_CALL: Duration = Duration::from_secs(3);
/// How many confirmations in the background may call at once.
const BACKGROUND_CALLS_MAX: usize = 64;
/// How long to wait before a call in the background is made again.
const BACKGROUND_WAIT: Backoff = Backoff {
    initial: Duration::from_millis(50),
    max: Duration::from_secs(5),
    factor: 2.0,
    jitter: steadfast_base::Jitter::Full,
};
/// How long to wait for the task of a confirmation to start.
const START_WAIT: Duration = Duration::from_millis(5);
/// How long a confirmation may go forward before it is given up and taken back.
const FORWARD_WITHIN: Duration = Duration::from_secs(300);

/// Carries confirmations out, each in a task of its own, and resumes those that a dead process left.
///
/// While a caller waits, failure is definite: after the guards' repetitions the confirmation is taken back and the
/// caller told. Once the caller has been told "later", it is carried on for up to five minutes.
pub struct Manager {
    orders: Arc<Orders>,
    dependencies: Dependencies,
    running: Mutex<HashMap<OrderId, watch::Receiver<bool>>>,
    background: Semaphore,
    work: Work,
    stopping: CancellationToken,
    persistent: bool,
    rng: Mutex<Rng>,
}

/// What a caller who waits for a confirmation gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waited {
    /// It is done.
    Done(Answer),
    /// It is recorded and goes on, but the caller's time is up.
    GoesOn,
}

impl Manager {
    /// Makes a manager whose tasks run in `work`, until `stopping`. One that is not `persistent` gives up at the
    /// first failure in the background too.
    pub fn new(
        orders: Arc<Orders>,
        dependencies: Dependencies,
        work: Work,
        stopping: CancellationToken,
        persistent: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            orders,
            dependencies,
            running: Mutex::default(),
            background: Semaphore::new(BACKGROUND_CALLS_MAX),
            work,
            stopping,
            persistent,
            rng: Mutex::new(Seed::random().stream("confirmations")),
        })
    }

    /// Returns the programs that confirmations need.
    pub fn dependencies(&self) -> &Dependencies {
        &self.dependencies
    }

    /// Confirms an order, and waits for it until `deadline`.
    ///
    /// # Errors
    /// [`Error`]; [`Error::NotConfirmed`] when it was taken back.
    ///
    /// # Cancel safety
    /// Dropping the future leaves a confirmation that has begun running.
    pub async fn confirm(
        self: &Arc<Self>,
        id: OrderId,
        cause: Cause,
        deadline: Option<Deadline>,
    ) -> Result<Waited, Error> {
        let (manager, cause_of_start) = (Arc::clone(self), cause.clone());
        let start = self.work.finish(async move {
            let started = manager.orders.start_confirmation(id, &cause_of_start).await?;
            if started == Started::Now {
                manager.spawn(id, cause_of_start, deadline);
            }
            Ok::<_, Error>(started)
        });
        let finished = async {
            if let Started::Done(answer) = start.await?? {
                return Ok(Waited::Done(answer));
            }
            loop {
                if let done @ Waited::Done(_) = self.result(&cause)? {
                    return Ok(done);
                }
                let running = self.running.lock().get(&id).cloned();
                match running {
                    // It is recorded, and whoever recorded it is about to start its task.
                    None => tokio::time::sleep(START_WAIT).await,
                    Some(mut running) => {
                        // An error says that the task has ended, which is what is waited for.
                        let _ = running.wait_for(|finished| *finished).await;
                        return self.result(&cause);
                    }
                }
            }
        };
        match deadline {
            None => finished.await,
            Some(deadline) => match tokio::time::timeout_at(deadline.instant(), finished).await {
                Ok(result) => result,
                Err(_) => self.result(&cause),
            },
        }
    }

    /// Carries on with the confirmations that were under way when the log was last closed, or was not.
    pub fn resume(self: &Arc<Self>) {
        let left = self.orders.look(|book| book.confirming().clone());
        if !left.is_empty() {
            tracing::info!(confirmations = left.len(), "carrying on");
        }
        for (id, cause) in left {
            self.spawn(id, cause, Some(Deadline::within(Duration::ZERO)));
        }
    }

    /// Returns how many confirmations are being carried out.
    pub fn running(&self) -> usize {
        self.running.lock().len()
    }

    fn result(&self, cause: &Cause) -> Result<Waited, Error> {
        self.orders.repetition(cause).map(|answer| answer.map_or(Waited::GoesOn, Waited::Done))
    }

    fn spawn(self: &Arc<Self>, id: OrderId, cause: Cause, deadline: Option<Deadline>) {
        let (finished, running) = watch::channel(false);
        self.running.lock().insert(id, running);
        let manager = Arc::clone(self);
        self.work.spawn(async move {
            if let Err(error) = manager.carry_out(id, &cause, deadline).await {
                tracing::error!(order = %id, %error, "a confirmation waits for the next start");
            }
            manager.running.lock().remove(&id);
            let _ = finished.send(true);
        });
    }

    /// Does what the state of the confirmation asks for until none is under way, or the program stops.
    async fn carry_out(&self, id: OrderId, cause: &Cause, deadline: Option<Deadline>) -> Result<(), Error> {
        let give_up = Deadline::within(FORWARD_WITHIN);
        loop {
            let entry = self.orders.look(|book| book.order(id).cloned());
            let Some((entry, details)) = entry.and_then(|e| e.order.details().cloned().map(|d| (e, d)))
            else {
                return Ok(());
            };
            let steps = Steps { id, cause, key: step_key(id, cause), details: &details };
            match entry.confirmation {
                Confirmation::Idle => return Ok(()),
                Confirmation::Forward => match self.forward(&steps, deadline, give_up).await {
                    Ok(Progress::Through) => self.orders.complete_confirmation(id, cause).await?,
                    Ok(Progress::Stopped) => return Ok(()),
                    Err(reason) => {
                        tracing::warn!(order = %id, ?reason, "a confirmation is taken back");
                        self.orders.record_confirmation(id, cause, &Command::Fail(reason)).await?;
                    }
                },
                Confirmation::Backward(_) => match self.backward(&steps).await {
                    Progress::Through => self.orders.record_confirmation(id, cause, &Command::Settle).await?,
                    Progress::Stopped => return Ok(()),
                },
            }
        }
    }

    async fn forward(
        &self,
        steps: &Steps<'_>,
        deadline: Option<Deadline>,
        give_up: Deadline,
    ) -> Result<Progress, Reason> {
        for (dependency, ask) in
            [(&self.dependencies.inventory, steps.reserve()), (&self.dependencies.payment, steps.charge())]
        {
            if self.step(dependency, ask, steps.cause, deadline, give_up).await? == Progress::Stopped {
                return Ok(Progress::Stopped);
            }
        }
        Ok(Progress::Through)
    }

    /// Takes back what may have been done; it is repeated until it is done, for money and stock are at stake.
    async fn backward(&self, steps: &Steps<'_>) -> Progress {
        for (dependency, ask) in
            [(&self.dependencies.payment, steps.void()), (&self.dependencies.inventory, steps.release())]
        {
            let ask = Arc::new(ask);
            for repetition in 0.. {
                match self.background(dependency, &ask, steps.cause).await {
                    Ok(()) => break,
                    // It can only be a key that belongs to somebody else, which no repetition changes.
                    Err(error) if error.is_refusal() => {
                        tracing::error!(order = %steps.id, %error, "cannot be taken back");
                        break;
                    }
                    Err(error) => tracing::debug!(order = %steps.id, %error, "not yet taken back"),
                }
                if self.pause(repetition).await == Progress::Stopped {
                    return Progress::Stopped;
                }
            }
        }
        Progress::Through
    }

    /// Makes one call forward: first in the caller's time, then in the background.
    async fn step(
        &self,
        dependency: &Dependency,
        ask: Ask,
        cause: &Cause,
        deadline: Option<Deadline>,
        give_up: Deadline,
    ) -> Result<Progress, Reason> {
        let ask = Arc::new(ask);
        let late = || deadline.is_some_and(Deadline::is_expired);
        if !late() {
            match dependency.call(Call::new(Arc::clone(&ask), deadline, cause.trace)).await {
                Ok(_) => return Ok(Progress::Through),
                Err(error) if error.is_refusal() => return Err(refused(dependency, &error)),
                Err(error) if late() || error.is_out_of_time() => {
                    tracing::debug!(%error, "the caller's time is up");
                }
                Err(error) => return Err(unavailable(dependency, &error)),
            }
        }
        for repetition in 0.. {
            match self.background(dependency, &ask, cause).await {
                Ok(()) => break,
                Err(error) if error.is_refusal() => return Err(refused(dependency, &error)),
                Err(error) if give_up.is_expired() || !self.persistent => {
                    return Err(unavailable(dependency, &error));
                }
                Err(error) => tracing::debug!(%error, "once more in the background"),
            }
            if self.pause(repetition).await == Progress::Stopped {
                return Ok(Progress::Stopped);
            }
        }
        Ok(Progress::Through)
    }

    async fn background(
        &self,
        dependency: &Dependency,
        ask: &Arc<Ask>,
        cause: &Cause,
    ) -> Result<(), CallError> {
        let _slot = self.background.acquire().await.expect("never closed");
        let deadline = Some(Deadline::within(BACKGROUND_CALL));
        dependency.call(Call::new(Arc::clone(ask), deadline, cause.trace)).await.map(|_| ())
    }

    async fn pause(&self, repetition: u32) -> Progress {
        let wait = BACKGROUND_WAIT.delay(repetition, &mut self.rng.lock());
        tokio::select! {
            () = self.stopping.cancelled() => Progress::Stopped,
            () = tokio::time::sleep(wait) => Progress::Through,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// What was to be done is done.
    Through,
    /// The program is stopping; the rest is for its next start.
    Stopped,
}

/// The calls of one confirmation, all under the same key.
struct Steps<'a> {
    id: OrderId,
    cause: &'a Cause,
    key: String,
    details: &'a Details,
}

impl Steps<'_> {
    fn reserve(&self) -> Ask {
        let line = |line: &crate::orders::domain::Line| inventory::Line {
            sku: line.sku.to_string(),
            quantity: line.quantity.get(),
        };
        let lines = self.details.lines.iter().map(line).collect();
        Ask::Reserve(inventory::ReserveRequest {
            key: self.key.clone(),
            order_id: self.id.to_string(),
            lines,
        })
    }

    fn charge(&self) -> Ask {
        let total = self.details.total;
        Ask::Charge(payment::ChargeRequest {
            key: self.key.clone(),
            order_id: self.id.to_string(),
            amount_minor: total.amount_minor(),
            currency: total.currency().to_string(),
        })
    }

    fn void(&self) -> Ask {
        Ask::Void(payment::VoidRequest { key: self.key.clone(), order_id: self.id.to_string() })
    }

    fn release(&self) -> Ask {
        Ask::Release(inventory::ReleaseRequest { key: self.key.clone(), order_id: self.id.to_string() })
    }
}

/// Derives the key of a confirmation's calls from the order and the command, so that a confirmation that was taken
/// back does not stand in the way of the next.
fn step_key(id: OrderId, cause: &Cause) -> String {
    let digest = Sha256::new().chain_update(id.to_string()).chain_update(cause.key.as_str()).finalize();
    digest[..16].iter().fold(String::with_capacity(32), |text, byte| text + &format!("{byte:02x}"))
}

fn refused(dependency: &Dependency, error: &CallError) -> Reason {
    Reason::Refused { by: dependency.name().to_owned(), because: error.to_string() }
}

fn unavailable(dependency: &Dependency, error: &CallError) -> Reason {
    Reason::Unavailable { dependency: dependency.name().to_owned(), because: error.to_string() }
}
