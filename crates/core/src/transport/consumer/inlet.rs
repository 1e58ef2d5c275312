use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use steadfast_base::{Backoff, Classify, Seed};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::suspects::{self, Suspects, Verdict};
use crate::Event;
use crate::delivery::{Envelope, Inlet, Message, Settled};
use crate::transport::{Error, Outcome, Received, Receiver, Settlement, Token};

/// A receiver as a dispatcher draws from it: settlements are collected, and told by whoever runs
/// [`tell`](Self::tell), so that no handler waits for the transport.
pub(super) struct ReceiverInlet {
    receiver: Box<dyn Receiver>,
    cancel: CancellationToken,
    backoff: Backoff,
    seed: Seed,
    suspects: Arc<Suspects>,
    hand: Mutex<Hand>,
    /// What was given is settled.
    emptied: Notify,
    /// Bounded by how many events may be in flight.
    untold: Mutex<Vec<Settlement>>,
    settled: Notify,
    released: AtomicU64,
    /// Events that were not attempted any more.
    dead: AtomicU64,
    failure: Mutex<Option<Error>>,
}

/// How long a suspect waits until nothing else is in hand, and is left alone. Beyond that, what others do may count
/// against it.
const ALONE_MAX: Duration = Duration::from_secs(30);

/// What was received.
#[derive(Default)]
struct Hand {
    /// Not given yet.
    waiting: VecDeque<Received>,
    /// How many were given and are not settled, and how many of those a suspect has waited for long enough.
    given: usize,
    stuck: usize,
    /// Until when the first that waits, a suspect, waits for the others.
    waits_until: Option<Instant>,
    /// The suspect that was given, and until when it is left alone.
    alone: Option<(Token, Instant)>,
}

/// What is to be done next.
enum Next {
    Give(Vec<Received>),
    /// The first that waits is a suspect, and nothing else is in hand.
    Accuse(Box<Received>),
    WaitUntil(Instant),
    Receive,
}

impl ReceiverInlet {
    pub(super) fn new(
        receiver: Box<dyn Receiver>,
        cancel: CancellationToken,
        backoff: Backoff,
        seed: Seed,
        suspects: Arc<Suspects>,
    ) -> Self {
        Self {
            receiver,
            cancel,
            backoff,
            seed,
            suspects,
            hand: Mutex::default(),
            emptied: Notify::new(),
            untold: Mutex::default(),
            settled: Notify::new(),
            released: AtomicU64::new(0),
            dead: AtomicU64::new(0),
            failure: Mutex::default(),
        }
    }

    pub(super) fn receiver(&self) -> &dyn Receiver {
        &*self.receiver
    }

    pub(super) fn released(&self) -> u64 {
        self.released.load(Ordering::Relaxed)
    }

    /// Returns how many events were found to be dead without another attempt.
    pub(super) fn dead(&self) -> u64 {
        self.dead.load(Ordering::Relaxed)
    }

    pub(super) fn untold(&self) -> u64 {
        (self.untold.lock().len() + self.suspects.unabsolved()) as u64
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
            match self.suspects.absolve().await {
                Ok(None) => {}
                Ok(Some(settlement)) => {
                    self.untold.lock().push(settlement);
                    continue;
                }
                Err(error) => {
                    let wait = self.backoff.delay(failures, &mut rng);
                    tracing::warn!(failures, %error, ?wait, "a letter is removed later");
                    failures = failures.saturating_add(1);
                    tokio::time::sleep(wait).await;
                    continue;
                }
            }
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

impl ReceiverInlet {
    fn next(&self, max: usize) -> Next {
        let hand = &mut *self.hand.lock();
        if let Some((_, until)) = hand.alone
            && until > Instant::now()
        {
            return Next::WaitUntil(until);
        }
        let Some(first) = hand.waiting.front() else { return Next::Receive };
        let is_plain = |received: &&Received| !self.suspects.is_suspect(received);
        let plain = hand.waiting.iter().take(max).take_while(is_plain).count();
        if plain > 0 {
            hand.given += plain;
            return Next::Give(hand.waiting.drain(..plain).collect());
        }
        let now = Instant::now();
        let until = *hand.waits_until.get_or_insert(now + ALONE_MAX);
        if hand.given > hand.stuck && until > now {
            return Next::WaitUntil(until);
        }
        hand.stuck = hand.given;
        Next::Accuse(Box::new(first.clone()))
    }

    async fn draw_next(&self, max: usize, into: &mut Vec<Envelope<Event, Token>>) -> usize {
        let mut failures = 0;
        loop {
            let emptied = self.emptied.notified();
            let failure = match self.next(max.max(1)) {
                Next::Give(events) => {
                    let given = events.len();
                    into.extend(events.into_iter().map(envelope));
                    return given;
                }
                Next::WaitUntil(until) => {
                    let _ = tokio::time::timeout_at(until, emptied).await;
                    continue;
                }
                Next::Accuse(suspect) => match self.suspects.accuse(&suspect).await {
                    Ok(accused) => {
                        let mut hand = self.hand.lock();
                        hand.waiting.pop_front();
                        hand.waits_until = None;
                        if accused == Verdict::Before {
                            self.dead.fetch_add(1, Ordering::Relaxed);
                            self.untold.lock().push(suspects::dead(&suspect));
                            self.settled.notify_one();
                            continue;
                        }
                        hand.given += 1;
                        if accused == Verdict::Now {
                            hand.alone = Some((suspect.token, Instant::now() + ALONE_MAX));
                        }
                        into.push(envelope(*suspect));
                        return 1;
                    }
                    Err(error) => error.to_string(),
                },
                Next::Receive => match self.receiver.receive(max).await {
                    Ok(events) if events.is_empty() => return 0,
                    Ok(events) => {
                        self.suspects.look(&events);
                        self.hand.lock().waiting.extend(events);
                        continue;
                    }
                    Err(error) if error.classify().is_retryable() => error.to_string(),
                    Err(error) => {
                        *self.failure.lock() = Some(error);
                        return 0;
                    }
                },
            };
            let wait = self.backoff.delay(failures, &mut self.seed.stream("receive"));
            failures = failures.saturating_add(1);
            tracing::warn!(failures, error = failure, ?wait, "receiving again later");
            tokio::time::sleep(wait).await;
        }
    }
}

fn envelope(received: Received) -> Envelope<Event, Token> {
    Envelope {
        message: Message::of_event(received.event),
        ticket: received.token,
        // What the transport counts says how often an event was handed out, not how often it was attempted: after a
        // few lost connections it would be dead before it was tried.
        attempts: 0,
    }
}

impl Inlet<Event> for ReceiverInlet {
    type Ticket = Token;

    async fn draw(&self, max: usize, into: &mut Vec<Envelope<Event, Token>>) -> usize {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => {
                let waiting: Vec<Received> = self.hand.lock().waiting.drain(..).collect();
                for received in waiting {
                    self.released.fetch_add(1, Ordering::Relaxed);
                    let settlement = Settlement { token: received.token, outcome: Outcome::Released };
                    if self.suspects.ended(settlement, false) {
                        self.untold.lock().push(settlement);
                    }
                }
                0
            }
            drawn = self.draw_next(max, into) => drawn,
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
        let settlement = Settlement { token, outcome };
        if self.suspects.ended(settlement, matches!(settled, Settled::Dead | Settled::Parked)) {
            self.untold.lock().push(settlement);
        }
        self.settled.notify_one();
        {
            let mut hand = self.hand.lock();
            hand.given -= 1;
            hand.stuck = hand.stuck.min(hand.given);
            hand.alone = hand.alone.filter(|(alone, _)| *alone != token);
        }
        self.emptied.notify_waiters();
    }
}
