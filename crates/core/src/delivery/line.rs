//! Order `Total`: messages stand in a line, and one run at a time has the turn to handle its head.
//!
//! All that must outlive a run that is dropped stands in the line itself, so that the next run goes on from there;
//! the turn is a lock, which dropping gives back. On the way of a message that is handled at once nothing is
//! allocated, and the clock is read once for several.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::SystemTime;

use steadfast_base::Rng;
use tokio::time::Instant;
use tracing::Span;

use super::caller::{self, Caller};
use super::cause::Failed;
use super::item::{Item, Origin};
use super::shared::{FAR, Shared};
use super::timer::Timer;
use super::{Cause, Envelope, Inlet, Settled, span};

/// How many messages are drawn at once; whoever waits for the turn gets it after them.
const DRAW_MAX: usize = 64;

/// For how many handlers that did not have to wait one reading of the clock serves.
const UNTIMED_MAX: u32 = 8;

pub(super) struct Line<T, K> {
    /// The messages in hand, the next one last.
    waiting: Vec<Item<T, K>>,
    /// What was drawn and does not stand in line yet, the first one first.
    drawn: Vec<Envelope<T, K>>,
    /// How many of those in hand, from the next one on, were attempted together.
    batch: usize,
    first_attempted: Option<Instant>,
    first_failed: Option<SystemTime>,
    /// What the last attempt failed with; none while it is under way, and so after it was dropped.
    failed: Option<Failed>,
    resume_at: Option<Instant>,
    ended: bool,
    rng: Rng,
}

impl<T, K> Line<T, K> {
    pub(super) fn new(rng: Rng) -> Self {
        Self {
            waiting: Vec::new(),
            drawn: Vec::new(),
            batch: 0,
            first_attempted: None,
            first_failed: None,
            failed: None,
            resume_at: None,
            ended: false,
            rng,
        }
    }

    /// Takes all messages in hand, the next one first.
    pub(super) fn take(&mut self) -> Vec<Item<T, K>> {
        self.absorb();
        let mut items = std::mem::take(&mut self.waiting);
        items.reverse();
        items
    }

    fn absorb(&mut self) {
        if self.drawn.is_empty() {
            return;
        }
        let drawn = self.drawn.drain(..).rev().map(Item::from);
        if self.waiting.is_empty() {
            self.waiting.extend(drawn);
        } else {
            self.waiting.splice(0..0, drawn);
        }
    }

    /// Returns the messages of the batch; the last one is the first in order.
    fn batch_mut(&mut self) -> &mut [Item<T, K>] {
        let start = self.waiting.len() - self.batch;
        &mut self.waiting[start..]
    }

    /// Forgets the batch, which is settled.
    fn settled(&mut self) {
        self.batch = 0;
        self.first_attempted = None;
        self.first_failed = None;
        self.failed = None;
        self.resume_at = None;
    }
}

pub(super) async fn run<T, I, C>(shared: &Shared<T, I>, caller: &mut C)
where
    T: Clone + Send + Sync + 'static,
    I: Inlet<T>,
    C: Caller<T>,
{
    let timer = pin!(Timer::new());
    let slot = pin!(None);
    let mut runner = Runner { shared, caller, timer, slot, span: Span::none(), now: None, untimed: 0 };
    loop {
        let mut line = shared.line.lock().await;
        loop {
            if !runner.fill(&mut line).await {
                return;
            }
            if line.batch > 0 {
                runner.handle(&mut line).await;
            }
            if line.waiting.is_empty() {
                break;
            }
            // Handlers that did not have to wait share one unit of the budget as they share one reading of the clock.
            if runner.untimed == 0 {
                if !tokio::task::coop::has_budget_remaining() {
                    runner.pause();
                }
                tokio::task::coop::consume_budget().await;
            }
        }
        runner.pause();
    }
}

struct Runner<'a, T, I: Inlet<T>, C: Caller<T>> {
    shared: &'a Shared<T, I>,
    caller: &'a mut C,
    timer: Pin<&'a mut Timer>,
    /// The handler at work.
    slot: Pin<&'a mut Option<C::Future>>,
    span: Span,
    /// The present time and the deadline of an attempt that begins now, as long as nothing was waited for since the
    /// clock was read.
    now: Option<(Instant, Instant)>,
    /// How many handlers have worked since then.
    untimed: u32,
}

impl<T, I, C> Runner<'_, T, I, C>
where
    T: Clone + Send + Sync + 'static,
    I: Inlet<T>,
    C: Caller<T>,
{
    /// Reads the clock, after handlers have worked or before; returns the time and the deadline of an attempt that
    /// begins now.
    fn clock(&mut self) -> (Instant, Instant) {
        let end = Instant::now();
        if let Some((start, _)) = self.now {
            let worked = end.saturating_duration_since(start);
            self.shared.counters.handler_ns.add(worked.as_nanos() as u64);
        }
        let now = (end, end + self.shared.attempt_timeout);
        self.now = Some(now);
        self.untimed = 0;
        now
    }

    /// Notes that nobody is at work, before something is waited for.
    fn pause(&mut self) {
        if self.untimed > 0 {
            self.clock();
        }
        self.now = None;
        self.shared.at_work(None);
    }

    /// Sees to it that messages are in hand, if there are any; says no once there never will be.
    async fn fill(&mut self, line: &mut Line<T, I::Ticket>) -> bool {
        let (size_max, within) = self.caller.batch();
        let inlet = &*self.shared.inlet;
        line.absorb();
        if line.waiting.is_empty() {
            self.pause();
            if let Some(letter) = self.shared.offers.lock().pop_front() {
                line.waiting.push(letter);
            } else if line.ended {
                return false;
            } else {
                tokio::select! {
                    biased;
                    drawn = inlet.draw(DRAW_MAX, &mut line.drawn) => line.ended = drawn == 0,
                    () = self.shared.offered.notified() => {}
                }
                line.absorb();
            }
            self.shared.counters.in_hand.set(line.waiting.len() as u64);
        }
        if line.batch == 0 && (1..size_max).contains(&line.waiting.len()) && !line.ended {
            let until = Instant::now() + within;
            while line.waiting.len() < size_max && !line.ended {
                let draw = inlet.draw(size_max - line.waiting.len(), &mut line.drawn);
                let drawn = tokio::time::timeout_at(until, draw).await;
                line.ended = drawn == Ok(0);
                line.absorb();
                if drawn.is_err() {
                    break;
                }
            }
            self.pause();
            self.shared.counters.in_hand.set(line.waiting.len() as u64);
        }
        if line.batch == 0 {
            line.batch = size_max.min(line.waiting.len());
        } else if line.failed.as_ref().is_none_or(|failed| failed.retryable) {
            // Another run may take fewer at a time than the one which was dropped.
            line.batch = line.batch.min(size_max);
        }
        true
    }

    /// Handles the batch until all of it is settled.
    async fn handle(&mut self, line: &mut Line<T, I::Ticket>) {
        loop {
            self.bury(line).await;
            if line.batch == 0 {
                return;
            }
            if let Some(at) = line.resume_at {
                self.pause();
                tokio::time::sleep_until(at).await;
                line.resume_at = None;
            }
            line.failed = None;
            let result = self.attempt(line).await;
            let counters = &self.shared.counters;
            match result {
                Ok(()) => {
                    self.settle(line).await;
                    counters.in_hand.set(line.waiting.len() as u64);
                    return;
                }
                Err(failed) => {
                    counters.failures.add(line.batch as u64);
                    self.failed(line, failed);
                }
            }
        }
    }

    /// Settles the batch, which was handled.
    async fn settle(&mut self, line: &mut Line<T, I::Ticket>) {
        while line.batch > 0 {
            // A letter is removed before it leaves the hand, so that a run which is dropped here leaves it there.
            if let Some(id) = line.waiting.last().and_then(Item::letter) {
                self.pause();
                self.shared.remove(id).await;
            }
            line.batch -= 1;
            match line.waiting.pop().map(|item| item.origin) {
                Some(Origin::Inlet(ticket)) => {
                    self.shared.counters.handled.add(1);
                    self.shared.inlet.settle(ticket, Settled::Handled);
                }
                Some(Origin::Letter(letter)) => {
                    self.shared.counters.replayed.add(1);
                    let _ = letter.reply.send(true);
                }
                None => {}
            }
        }
        line.settled();
    }

    /// Makes one attempt at the batch.
    async fn attempt(&mut self, line: &mut Line<T, I::Ticket>) -> Result<(), Failed> {
        let (mut begun, mut waited) = (false, false);
        let result = poll_fn(|cx| {
            let polled = if begun {
                let _entered = (!self.span.is_none()).then(|| self.span.enter());
                caller::poll::<T, C>(self.slot.as_mut(), cx)
            } else {
                let (counted, polled) = self.begin(line, cx);
                begun = counted;
                polled
            };
            match (polled, self.now) {
                (Poll::Ready(result), _) => return Poll::Ready(result),
                (Poll::Pending, Some((_, deadline))) if begun => {
                    waited = true;
                    if self.timer.as_mut().poll_until(deadline, cx).is_ready() {
                        return Poll::Ready(Err(Failed::transient(Cause::TimedOut)));
                    }
                }
                // The handler is not ready: until it is, nobody is at work.
                (Poll::Pending, _) => self.pause(),
            }
            Poll::Pending
        })
        .await;
        if self.slot.is_some() {
            caller::clear(self.slot.as_mut());
        }
        if !self.span.is_none() {
            span::end(&self.span, &result);
            self.span = Span::none();
        }
        self.untimed += 1;
        if waited || result.is_err() || self.untimed >= UNTIMED_MAX {
            self.clock();
            self.shared.at_work(self.now.map(|(now, _)| now));
        }
        result
    }

    /// Calls the handler if it is ready, and polls it once; a panic is a failure. Says also whether an attempt has
    /// begun.
    ///
    /// All of it stands behind one guard against panics: most handlers need no more than this.
    fn begin(
        &mut self,
        line: &mut Line<T, I::Ticket>,
        cx: &mut Context<'_>,
    ) -> (bool, Poll<Result<(), Failed>>) {
        let (mut counted, mut over) = (false, None);
        let guarded = AssertUnwindSafe(|| {
            let Poll::Ready(ready) = self.caller.poll_ready(cx) else { return };
            let (start, deadline) = self.present();
            self.count(line);
            counted = true;
            if let Err(failed) = ready {
                over = Some(Err(failed));
                return;
            }
            let Self { shared, caller, slot, span, .. } = self;
            let first = *line.first_attempted.get_or_insert(start);
            let deliveries = line.batch_mut().iter().rev().map(|item| shared.delivery(item, first, deadline));
            let _entered;
            let future = if tracing::enabled!(tracing::Level::INFO) {
                let mut deliveries: Vec<_> = deliveries.collect();
                *span = shared.span(&deliveries);
                _entered = span.enter();
                caller.call(deliveries.drain(..))
            } else {
                caller.call(deliveries)
            };
            slot.set(Some(future));
            let future = slot.as_mut().as_pin_mut().expect("it was put there");
            if let Poll::Ready(output) = future.poll(cx) {
                over = Some(C::outcome(output));
                slot.set(None);
            }
        });
        match (catch_unwind(guarded), over) {
            (Ok(()), None) => (counted, Poll::Pending),
            (Ok(()), Some(result)) => (true, Poll::Ready(result)),
            (Err(panic), over) => {
                if !counted {
                    self.present();
                    self.count(line);
                }
                // Its outcome is known if only dropping it has failed.
                (true, Poll::Ready(over.unwrap_or_else(|| Err(Failed::of_panic(panic)))))
            }
        }
    }

    /// Returns the time, and the deadline of an attempt that begins now.
    fn present(&mut self) -> (Instant, Instant) {
        if let Some(now) = self.now {
            return now;
        }
        let now = self.clock();
        self.shared.at_work(Some(now.0));
        now
    }

    /// Counts an attempt at the batch.
    fn count(&self, line: &mut Line<T, I::Ticket>) {
        for item in line.batch_mut() {
            item.attempts += 1;
            self.shared.count_attempt(item);
        }
    }

    fn failed(&mut self, line: &mut Line<T, I::Ticket>, failed: Failed) {
        line.first_failed.get_or_insert_with(|| self.shared.now());
        let attempts = line.batch_mut().last().map_or(1, |first| first.attempts);
        tracing::debug!(destination = &*self.shared.destination, attempts, cause = %failed.cause, "a handler failed");
        if failed.retryable {
            let backoff = self.shared.handling.redelivery.backoff;
            let wait = backoff.delay(attempts - 1, &mut line.rng).max(failed.retry_after).min(FAR);
            line.resume_at = Some(Instant::now() + wait);
        }
        line.failed = Some(failed);
    }

    /// Makes dead letters of those in the batch that get no other attempt.
    async fn bury(&mut self, line: &mut Line<T, I::Ticket>) {
        let attempts_max = self.shared.attempts_max;
        loop {
            let permanent = line.failed.as_ref().is_some_and(|failed| !failed.retryable);
            let is_dead = |item: &Item<T, I::Ticket>| permanent || item.attempts >= attempts_max;
            let Some(offset) = line.batch_mut().iter().rposition(is_dead) else { return };
            let index = line.waiting.len() - line.batch + offset;
            self.pause();
            let cause = line.failed.as_ref().map_or(Cause::Dropped, |failed| failed.cause.clone());
            let first_failed = *line.first_failed.get_or_insert_with(|| self.shared.now());
            let item = &line.waiting[index];
            let fate = item.dead(cause, first_failed);
            match item.letter() {
                Some(id) => self.shared.amend(id, &fate).await,
                None => drop(self.shared.put(&self.shared.letter(&item.message, fate)).await),
            }
            match line.waiting.remove(index).origin {
                Origin::Inlet(ticket) => {
                    self.shared.counters.dead.add(1);
                    self.shared.inlet.settle(ticket, Settled::Dead);
                }
                Origin::Letter(letter) => {
                    let _ = letter.reply.send(false);
                }
            }
            line.batch -= 1;
            if line.batch == 0 {
                line.settled();
                self.shared.counters.in_hand.set(line.waiting.len() as u64);
            }
        }
    }
}
