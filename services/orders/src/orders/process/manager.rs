use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use steadfast::base::{Deadline, Seed};
use steadfast::core::process::{self, Driver, Ended, Policy};
use steadfast::core::store::Durability;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::confirm::{Confirm, Input};
use super::port::{BACKGROUND_WAIT, Services};
use crate::host::Work;
use crate::orders::command::{Answer, Error, Orders, Started};
use crate::orders::domain::{self, OrderId};
use crate::orders::log::Cause;

/// How long to wait for the task of a confirmation to start.
const START_WAIT: Duration = Duration::from_millis(5);
/// How often to look for confirmations that nobody carries out, since the store failed them.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the driver waits for a step. The port bounds its calls by itself, and what it asks of the store must not be
/// given up: the store may be away for long, and have it all the same.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(24 * 3600);
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
            attempt_timeout: ATTEMPT_WITHIN,
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
                    // It is recorded, and whoever recorded it is about to start its task; or the store failed them, and
                    // it will be taken up.
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
                // Whoever is told that it goes on is promised that it is in the log (ADR 003).
                Err(_) if self.orders.look(|book| book.record(cause.key.as_str()).is_none()) => {
                    Err(Error::OutOfTime)
                }
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
        self.take_up();
        Ok(())
    }

    /// Takes up, until `stopping` is cancelled, what a store that was away has left: orders of which it is open what
    /// the store has, and confirmations that nobody carries out.
    ///
    /// # Cancel safety
    /// Dropping the future leaves what it has taken up running.
    pub async fn keep_up(self: Arc<Self>, stopping: CancellationToken) {
        while stopping.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            match stopping.run_until_cancelled(self.orders.settle_all()).await {
                None => break,
                Some(Ok(0)) => {}
                Some(Ok(orders)) => tracing::info!(orders, "read again after the store was away"),
                Some(Err(error)) => tracing::debug!(%error, "the store is still away"),
            }
            self.take_up();
        }
    }

    /// Carries out the confirmations under way that are not being carried out.
    fn take_up(self: &Arc<Self>) {
        let left = self.orders.look(|book| book.confirming().clone());
        for input in left.iter().filter_map(|(id, cause)| self.input(*id, cause)) {
            self.spawn(input);
        }
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
        let (finished, watched) = watch::channel(false);
        match self.running.lock().entry(Arc::clone(&process)) {
            Entry::Occupied(_) => return,
            Entry::Vacant(vacant) => drop(vacant.insert(watched)),
        }
        let manager = Arc::clone(self);
        self.work.spawn("confirmation", async move {
            let order = input.order;
            if let Err(error) = manager.carry_out(input).await {
                tracing::warn!(%order, %error, "a confirmation waits for the store");
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

#[cfg(test)]
mod tests {
    use steadfast::core::bus::Bus;
    use steadfast::core::store::{EventStore, MemoryStore};
    use steadfast::guard::Registry;

    use super::*;
    use crate::host::Key;
    use crate::orders::command::{Book, Settings};
    use crate::orders::edge;
    use crate::orders::guards::Guards;
    use crate::orders::log::Fingerprint;
    use crate::orders::process::{Dependencies, Dependency};

    fn cause(key: &str) -> Cause {
        let key = Key::try_from(key.to_owned()).expect("a key");
        Cause { key, fingerprint: Fingerprint::of("/", b""), trace: None }
    }

    /// "Later" is an acknowledgement: it must not be given before the log has what is acknowledged.
    #[tokio::test]
    async fn nobody_is_told_later_before_it_is_in_the_log() {
        let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
        let book = Book::load(&*store, |_, _, _| {}).await.expect("the log is whole");
        let topic = Bus::new().topic("orders").expect("the bus is open");
        let settings = Settings { durability: Durability::Accepted, idempotent: true };
        let orders = Arc::new(Orders::new(store, book, topic, settings));
        let details = edge::parse(include_bytes!("../../../fixtures/orders-create.json"));
        let details = Arc::new(details.expect("the fixture is an order"));
        let id = orders.create(details, &cause("k")).await.expect("it is created").id;
        let nowhere = |name| {
            let guards = Guards::default();
            Dependency::new(name, "http://127.0.0.1:1", &Registry::default(), &guards.payment, Seed::new(1))
                .expect("a URL")
        };
        let dependencies = Dependencies { inventory: nowhere("inventory"), payment: nowhere("payment") };
        let services = Services::new(Arc::clone(&orders), dependencies, CancellationToken::new(), true);
        let manager = Manager::new(Arc::clone(&orders), services, Work::new(8));

        // Long over, so that nobody waits: its task has not run yet when the caller is answered.
        let over = tokio::time::Instant::now().checked_sub(Duration::from_secs(1)).map(Deadline::at);
        let told = manager.confirm(id, cause("c"), over).await;
        assert!(matches!(told, Err(Error::OutOfTime)), "{told:?}");
        let recorded = async {
            while orders.look(|book| book.record("c").is_none()) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), recorded).await.expect("it goes on without its caller");
        let told = manager.confirm(id, cause("c"), over).await;
        assert!(matches!(told, Ok(Waited::GoesOn) | Err(Error::NotConfirmed(_))), "{told:?}");
    }
}
