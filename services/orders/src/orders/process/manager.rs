use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use steadfast::base::{Deadline, Seed};
use steadfast::core::process::{self, Driver, Ended, Policy};
use steadfast::core::store::Durability;
use tokio::sync::watch;

use super::confirm::{Confirm, Input};
use super::port::{BACKGROUND_WAIT, STEP_WITHIN, Services};
use crate::host::Work;
use crate::orders::command::{Answer, Error, Orders, Started};
use crate::orders::domain::{self, OrderId};
use crate::orders::log::Cause;

/// How long to wait for the task of a confirmation to start.
const START_WAIT: Duration = Duration::from_millis(5);
/// How long steps under way may take when the program stops; they are resumed at its next start.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Stands between those who wait for confirmations and the driver that carries them out.
///
/// That an order is to be confirmed is durable before the first step, and so is how it ended before anybody is
/// told. The driver's records between them are [`Durability::Written`] alone: the loss of power can take back no
/// more than the knowledge of a step, which is then done again under the same key.
pub struct Manager {
    orders: Arc<Orders>,
    driver: Driver<Confirm, Services>,
    services: Services,
    running: Mutex<HashMap<Arc<str>, watch::Receiver<bool>>>,
    work: Work,
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
    /// Makes a manager that watches processes in `work`.
    pub fn new(orders: Arc<Orders>, services: Services, work: Work) -> Arc<Self> {
        let store = Arc::clone(orders.store());
        let policy = Policy {
            // One attempt, for the port repeats; what it gives up is undone, also when it may have been done.
            attempts_max: Some(1),
            attempt_timeout: STEP_WITHIN * 2,
            backoff: BACKGROUND_WAIT,
            durability: Durability::Written.min(store.capabilities().durability_max),
            // Bounded before they are recorded.
            running_max: usize::MAX,
            seed: Seed::random(),
        };
        let driver = Driver::new(Confirm, services.clone(), store, policy);
        Arc::new(Self { orders, driver, services, running: Mutex::default(), work })
    }

    /// Confirms an order, and waits for it until `deadline`.
    ///
    /// # Errors
    /// [`Error`]; [`Error::NotConfirmed`] when it was taken back, or is being.
    ///
    /// # Cancel safety
    /// Dropping the future leaves a confirmation that has begun running.
    pub async fn confirm(
        self: &Arc<Self>,
        id: OrderId,
        cause: Cause,
        deadline: Option<Deadline>,
    ) -> Result<Waited, Error> {
        let input = self.input(id, &cause).ok_or(domain::Refused::NotFound)?;
        let (manager, cause_of_start, process) = (Arc::clone(self), cause.clone(), input.process_id());
        let start = self.work.finish(async move {
            let started = manager.orders.start_confirmation(id, &cause_of_start).await?;
            if started == Started::Now {
                manager.services.expect(input.process_id(), deadline);
                manager.spawn(input);
            }
            Ok::<_, Error>(started)
        });
        let finished = async {
            if let Started::Done(answer) = start.await?? {
                return Ok(Waited::Done(answer));
            }
            loop {
                if let done @ Waited::Done(_) = self.result(&cause, &process)? {
                    return Ok(done);
                }
                let running = self.running.lock().get(&process).cloned();
                match running {
                    // It is recorded, and whoever recorded it is about to start its task.
                    None => tokio::time::sleep(START_WAIT).await,
                    Some(mut running) => {
                        // An error says that the task has ended, which is what is waited for.
                        let _ = running.wait_for(|finished| *finished).await;
                        return self.result(&cause, &process);
                    }
                }
            }
        };
        match deadline {
            None => finished.await,
            Some(deadline) => match tokio::time::timeout_at(deadline.instant(), finished).await {
                Ok(result) => result,
                Err(_) => self.result(&cause, &process),
            },
        }
    }

    /// Goes on with the confirmations that were under way when the log was last closed, or was not.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn resume(self: &Arc<Self>) -> Result<(), process::Error> {
        let left = self.orders.look(|book| book.confirming().clone());
        // Beside those there may be some that lack the record of their end alone; nobody waits for it.
        let resumed = self.driver.resume().await?;
        if resumed + left.len() > 0 {
            tracing::info!(processes = resumed, confirmations = left.len(), "resumed");
        }
        for input in left.iter().filter_map(|(id, cause)| self.input(*id, cause)) {
            self.spawn(input);
        }
        Ok(())
    }

    /// Returns how many confirmations are being carried out.
    pub fn running(&self) -> usize {
        self.running.lock().len()
    }

    /// Lets steps under way finish for a short time; what is left is resumed at the next start.
    pub async fn close(&self) {
        let left = self.driver.close(Deadline::within(CLOSE_WITHIN)).await;
        if left > 0 {
            tracing::info!(confirmations = left, "left for the next start");
        }
    }

    fn result(&self, cause: &Cause, process: &str) -> Result<Waited, Error> {
        match self.orders.result(cause)? {
            Some(answer) => Ok(Waited::Done(answer)),
            None => match self.services.failing(process) {
                Some(reason) => Err(Error::NotConfirmed(reason)),
                None => Ok(Waited::GoesOn),
            },
        }
    }

    fn input(&self, id: OrderId, cause: &Cause) -> Option<Input> {
        let details = self.orders.look(|book| book.order(id)?.order.details().cloned())?;
        let (command, trace) = (cause.key.as_str().to_owned(), cause.trace.map(|trace| trace.to_string()));
        Some(Input { order: id, command, trace, details })
    }

    fn spawn(self: &Arc<Self>, input: Input) {
        let process = input.process_id();
        let (finished, running) = watch::channel(false);
        self.running.lock().insert(Arc::clone(&process), running);
        let manager = Arc::clone(self);
        self.work.spawn(async move {
            let order = input.order;
            if let Err(error) = manager.carry_out(input).await {
                tracing::warn!(%order, %error, "a confirmation waits for the next start");
            }
            manager.running.lock().remove(&process);
            manager.services.forget(&process);
            let _ = finished.send(true);
        });
    }

    async fn carry_out(&self, input: Input) -> anyhow::Result<()> {
        let order = input.order;
        let mut handle = self.driver.start(input.process_id(), input).await?;
        if let Ended::Compensated(error) = handle.ended().await? {
            self.orders.fail_confirmation(order, (&error).into()).await?;
        }
        Ok(())
    }
}
