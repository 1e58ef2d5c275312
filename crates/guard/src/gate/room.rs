//! Who is let in and who goes first. It knows no lock and no clock: time is an argument.

use std::task::Waker;

use steadfast_base::Priority;
use tokio::time::Instant;

use super::queue::{Queue, Stage};
use super::{Figures, Refusal, Rule};

const CLASSES: usize = Priority::ALL.len();

#[derive(Debug)]
pub(super) struct Room {
    rule: Rule,
    limit: u32,
    in_flight: u32,
    /// The most that were in since it was asked for.
    peak: u32,
    /// Since when there have been calls of a class in the queue.
    busy_since: [Option<Instant>; CLASSES],
    /// When a call of a class was last turned away under overload.
    turned_away_at: [Option<Instant>; CLASSES],
    pub(super) queue: Queue,
    admitted: u64,
    refused: [u64; CLASSES],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entered {
    Admitted,
    Queued(usize),
    Refused(Refusal),
}

impl Room {
    pub(super) fn new(limit: u32, rule: Rule) -> Self {
        Self {
            rule,
            limit,
            in_flight: 0,
            peak: 0,
            busy_since: [None; CLASSES],
            turned_away_at: [None; CLASSES],
            queue: Queue::default(),
            admitted: 0,
            refused: [0; CLASSES],
        }
    }

    /// Lets a call in, queues it or turns it away. Reads the clock only when there is no room.
    #[inline]
    pub(super) fn enter(
        &mut self,
        priority: Priority,
        now: impl FnOnce() -> Instant,
        wakers: &mut Vec<Waker>,
    ) -> Entered {
        if self.in_flight < self.limit && self.queue.is_empty() {
            self.admit();
            return Entered::Admitted;
        }
        let now = now();
        self.drop_stale(now, wakers);
        if self.queue.len() >= self.rule.queue_max && !self.make_place(priority, now, wakers) {
            self.note_refusal(priority as usize, now);
            return Entered::Refused(Refusal::Full);
        }
        self.busy_since[priority as usize].get_or_insert(now);
        Entered::Queued(self.queue.push(priority, now))
    }

    /// Gives the room of one call back, to whoever goes first.
    pub(super) fn leave(&mut self, now: impl FnOnce() -> Instant, wakers: &mut Vec<Waker>) {
        self.in_flight -= 1;
        self.fill(now, wakers);
    }

    /// Takes a call out that no longer wants its place, or the room that it was just given. Its waker is for the caller
    /// to drop.
    #[must_use]
    pub(super) fn abandon(
        &mut self,
        slot: usize,
        is_refusal: bool,
        now: impl FnOnce() -> Instant,
        wakers: &mut Vec<Waker>,
    ) -> Option<Waker> {
        match self.queue.stage(slot) {
            Stage::Waiting => {
                if is_refusal {
                    // IMPORTANT: Before the queue may be empty, which alone is no end of overload.
                    self.note_refusal(self.queue.class(slot), now());
                }
                self.queue.unlink(slot);
                self.rest();
            }
            Stage::Decided(Ok(())) => self.leave(now, wakers),
            Stage::Decided(Err(_)) => {}
        }
        self.queue.free(slot)
    }

    pub(super) fn set_limit(&mut self, limit: u32, now: impl FnOnce() -> Instant, wakers: &mut Vec<Waker>) {
        self.limit = limit;
        self.fill(now, wakers);
    }

    pub(super) fn rule(&self) -> Rule {
        self.rule
    }

    /// Changes rule and limit. Who has a place in the queue keeps it, also where the queue is too long now.
    pub(super) fn set_rule(
        &mut self,
        rule: Rule,
        limit: u32,
        now: impl FnOnce() -> Instant,
        wakers: &mut Vec<Waker>,
    ) {
        self.rule = rule;
        self.set_limit(limit, now, wakers);
    }

    pub(super) fn take_peak(&mut self) -> (u32, u32) {
        (self.in_flight, std::mem::replace(&mut self.peak, self.in_flight))
    }

    pub(super) fn figures(&self) -> Figures {
        Figures {
            limit: self.limit,
            in_flight: self.in_flight,
            queued: self.queue.len(),
            admitted: self.admitted,
            refused: self.refused,
        }
    }

    /// Lets in as many as there is room for, those that matter most first.
    fn fill(&mut self, now: impl FnOnce() -> Instant, wakers: &mut Vec<Waker>) {
        if self.queue.is_empty() || self.in_flight >= self.limit {
            return;
        }
        let now = now();
        self.drop_stale(now, wakers);
        while self.in_flight < self.limit {
            let next = (0..CLASSES).rev().find_map(|class| {
                if self.is_overloaded(class, now) {
                    self.queue.newest(class)
                } else {
                    self.queue.oldest(class)
                }
            });
            let Some(slot) = next else { break };
            self.admit();
            wakers.extend(self.queue.decide(slot, Ok(())));
        }
        self.rest();
    }

    fn admit(&mut self) {
        self.in_flight += 1;
        self.admitted += 1;
        self.peak = self.peak.max(self.in_flight);
    }

    /// Turns away who has waited longer than is allowed now.
    fn drop_stale(&mut self, now: Instant, wakers: &mut Vec<Waker>) {
        for class in 0..CLASSES {
            let allowed =
                if self.is_overloaded(class, now) { self.rule.wait_max_overload } else { self.rule.wait_max };
            while let Some(slot) = self.queue.oldest(class)
                && now.saturating_duration_since(self.queue.since(slot)) > allowed
            {
                self.turn_away(slot, Refusal::Waited, now, wakers);
            }
        }
        self.rest();
    }

    /// Takes the place of one that matters less, or under overload of the oldest that matters as much.
    fn make_place(&mut self, priority: Priority, now: Instant, wakers: &mut Vec<Waker>) -> bool {
        let class = priority as usize;
        let lesser = (0..class).find_map(|lesser| {
            if self.is_overloaded(lesser, now) {
                self.queue.oldest(lesser)
            } else {
                self.queue.newest(lesser)
            }
        });
        let is_overloaded = self.is_overloaded(class, now);
        let victim = lesser.or_else(|| if is_overloaded { self.queue.oldest(class) } else { None });
        let Some(slot) = victim else { return false };
        self.turn_away(slot, Refusal::Full, now, wakers);
        true
    }

    fn turn_away(&mut self, slot: usize, refusal: Refusal, now: Instant, wakers: &mut Vec<Waker>) {
        self.note_refusal(self.queue.class(slot), now);
        wakers.extend(self.queue.decide(slot, Err(refusal)));
    }

    fn note_refusal(&mut self, class: usize, now: Instant) {
        self.refused[class] += 1;
        if self.is_overloaded(class, now) {
            self.turned_away_at[class] = Some(now);
        }
    }

    /// Says whether there is overload for a class: more important ones take no harm from less important ones. It begins
    /// with a queue that does not become empty, and lasts until nobody has been turned away for as long: an empty queue
    /// alone is no end of it, for turning away is what empties it.
    fn is_overloaded(&self, class: usize, now: Instant) -> bool {
        let after = self.rule.overload_after;
        let elapsed = |at: Option<Instant>| at.map(|at| now.saturating_duration_since(at));
        elapsed(self.busy_since[class]).is_some_and(|busy| busy >= after)
            || elapsed(self.turned_away_at[class]).is_some_and(|elapsed| elapsed < after)
    }

    /// Notes which classes have nobody in the queue.
    fn rest(&mut self) {
        for class in 0..CLASSES {
            if self.queue.oldest(class).is_none() {
                self.busy_since[class] = None;
            }
        }
    }
}
