use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use steadfast_base::{Backoff, Classify, Seed};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::Event;
use crate::delivery::{Envelope, Inlet, Message, Settled};
use crate::transport::{Error, Outcome, Receiver, Settlement, Token};

/// A receiver as a dispatcher draws from it: settlements are collected, and told by whoever runs
/// [`tell`](Self::tell), so that no handler waits for the transport.
pub(super) struct ReceiverInlet {
    receiver: Box<dyn Receiver>,
    cancel: CancellationToken,
    backoff: Backoff,
    seed: Seed,
    /// Bounded by how many events may be in flight.
    untold: Mutex<Vec<Settlement>>,
    settled: Notify,
    released: AtomicU64,
    failure: Mutex<Option<Error>>,
}

impl ReceiverInlet {
    pub(super) fn new(
        receiver: Box<dyn Receiver>,
        cancel: CancellationToken,
        backoff: Backoff,
        seed: Seed,
    ) -> Self {
        Self {
            receiver,
            cancel,
            backoff,
            seed,
            untold: Mutex::default(),
            settled: Notify::new(),
            released: AtomicU64::new(0),
            failure: Mutex::default(),
        }
    }

    pub(super) fn receiver(&self) -> &dyn Receiver {
        &*self.receiver
    }

    pub(super) fn released(&self) -> u64 {
        self.released.load(Ordering::Relaxed)
    }

    pub(super) fn untold(&self) -> u64 {
        self.untold.lock().len() as u64
    }

    /// Takes what ended receiving.
    pub(super) fn failure(&self) -> Option<Error> {
        self.failure.lock().take()
    }

    /// Tells the transport what became of events, as it becomes known; never returns.
    pub(super) async fn tell(&self) {
        loop {
            self.settled.notified().await;
            self.tell_all().await;
        }
    }

    /// Tells the transport all that is known, however long it takes to reach it.
    ///
    /// # Cancel safety
    /// Dropping the future forgets nothing: what may not have been told is told again.
    pub(super) async fn tell_all(&self) {
        let mut rng = self.seed.stream("settlements");
        let mut failures = 0;
        loop {
            let settlements = self.untold.lock().clone();
            if settlements.is_empty() {
                return;
            }
            match self.receiver.settle(&settlements).await {
                Err(error) if error.classify().is_retryable() => {
                    let wait = self.backoff.delay(failures, &mut rng);
                    tracing::warn!(failures, %error, ?wait, "settlements are told again later");
                    failures = failures.saturating_add(1);
                    tokio::time::sleep(wait).await;
                }
                told => {
                    failures = 0;
                    // More may have been added at the end meanwhile.
                    self.untold.lock().drain(..settlements.len());
                    if let Err(error) = told {
                        let count = settlements.len();
                        tracing::error!(count, %error, "settlements cannot be told: events come again");
                    }
                }
            }
        }
    }
}

impl Inlet<Event> for ReceiverInlet {
    type Ticket = Token;

    async fn draw(&self, max: usize, into: &mut Vec<Envelope<Event, Token>>) -> usize {
        let mut failures = 0;
        loop {
            let received = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return 0,
                received = self.receiver.receive(max) => received,
            };
            match received {
                Ok(events) => {
                    let drawn = events.len();
                    into.extend(events.into_iter().map(|received| Envelope {
                        message: Message::of_event(received.event),
                        ticket: received.token,
                        // What the transport counts says how often an event was handed out, not how often it was
                        // attempted: after a few lost connections it would be dead before it was tried.
                        attempts: 0,
                    }));
                    return drawn;
                }
                Err(error) if error.classify().is_retryable() => {
                    let wait = self.backoff.delay(failures, &mut self.seed.stream("receive"));
                    failures = failures.saturating_add(1);
                    tracing::warn!(failures, %error, ?wait, "receiving again later");
                    tokio::select! {
                        () = self.cancel.cancelled() => return 0,
                        () = tokio::time::sleep(wait) => {}
                    }
                }
                Err(error) => {
                    *self.failure.lock() = Some(error);
                    return 0;
                }
            }
        }
    }

    fn settle(&self, token: Token, settled: Settled) {
        let outcome = match settled {
            // Dead and parked ones are kept with the dead letters: the transport's part is done.
            Settled::Handled | Settled::Dead | Settled::Parked => Outcome::Handled,
            Settled::Released => {
                self.released.fetch_add(1, Ordering::Relaxed);
                Outcome::Released
            }
        };
        self.untold.lock().push(Settlement { token, outcome });
        self.settled.notify_one();
    }
}
