use std::collections::VecDeque;
use std::sync::Arc;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::ages::Ages;
use super::lane::{Laned, Turns};
use super::sleepers::{Sleepers, Wakers};
use super::tally::Tally;
use crate::bus::Overflow;

/// Says whether a subscriber wants a message.
pub(in crate::bus) type Wanted<M> = Arc<dyn Fn(&M) -> bool + Send + Sync>;

/// What a subscriber wants.
pub(in crate::bus) struct Terms<M> {
    pub(in crate::bus) subscriber: Arc<str>,
    /// How many messages may wait in each lane; 0 means that each is handed over.
    pub(in crate::bus) capacity: usize,
    pub(in crate::bus) overflow: Overflow,
    pub(in crate::bus) filter: Option<Wanted<M>>,
    pub(in crate::bus) lanes: Option<Laned<M>>,
}

/// The queue of one subscription: messages by lane, who waits for messages, and who waits for room.
pub(super) struct Queue<M> {
    pub(super) terms: Terms<M>,
    pub(super) lanes: SmallVec<[Lane<M>; 1]>,
    turns: Option<Turns>,
    pub(super) consumers: Sleepers,
    pub(super) tally: Arc<Tally>,
    /// How many messages wait in all lanes.
    pub(super) queued: usize,
    /// How many messages have entered.
    pub(super) accepted: u64,
    /// How many that had entered were driven out by newer ones.
    pub(super) evicted: u64,
    /// How many were turned away without a word to the publisher.
    pub(super) turned_away: u64,
    /// How many made publishing fail.
    pub(super) rejected: u64,
    /// What is to be done with the message that is being published.
    pub(super) plan: Plan,
}

pub(super) struct Lane<M> {
    pub(super) messages: VecDeque<M>,
    pub(super) publishers: Sleepers,
    ages: Ages,
}

/// What a queue does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    /// It is not wanted.
    Pass,
    /// It enters a lane.
    Enter(usize),
    /// It is turned away and counted.
    TurnAway,
}

/// Why a queue lets nobody publish now.
pub(super) enum Obstacle {
    /// There is no room in this lane.
    Wait(usize),
    Reject,
}

impl<M> Queue<M> {
    pub(super) fn new(terms: Terms<M>, tally: Arc<Tally>) -> Self {
        let count = terms.lanes.as_ref().map_or(1, |lanes| lanes.count.max(1));
        let turns = terms.lanes.as_ref().filter(|_| count > 1);
        let turns = turns.map(|lanes| Turns::new(0..count as u32, lanes.starve_after));
        let lane =
            || Lane { messages: VecDeque::new(), publishers: Sleepers::default(), ages: Ages::default() };
        Self {
            terms,
            lanes: std::iter::repeat_with(lane).take(count).collect(),
            turns,
            consumers: Sleepers::default(),
            tally,
            queued: 0,
            accepted: 0,
            evicted: 0,
            turned_away: 0,
            rejected: 0,
            plan: Plan::Pass,
        }
    }

    /// Decides what to do with `message`, without doing it.
    pub(super) fn plan(&mut self, message: &M) -> Result<Plan, Obstacle> {
        self.plan = Plan::Pass;
        if self.terms.filter.as_ref().is_some_and(|wanted| !wanted(message)) {
            return Ok(self.plan);
        }
        let lane =
            self.terms.lanes.as_ref().map_or(0, |lanes| (lanes.rule)(message).min(self.lanes.len() - 1));
        self.plan = match self.terms.overflow {
            _ if self.has_room(lane) => Plan::Enter(lane),
            Overflow::Wait => return Err(Obstacle::Wait(lane)),
            Overflow::RejectNew => return Err(Obstacle::Reject),
            // Where nothing waits there is nothing older to drop.
            Overflow::DropOldest if self.terms.capacity > 0 => Plan::Enter(lane),
            Overflow::DropOldest | Overflow::DropNewest => Plan::TurnAway,
        };
        Ok(self.plan)
    }

    pub(super) fn has_room(&self, lane: usize) -> bool {
        match self.terms.capacity {
            // Handing over needs somebody who waits for it.
            0 => !self.consumers.is_empty(),
            capacity => self.lanes[lane].messages.len() < capacity,
        }
    }

    /// Puts a message into its lane and returns the one that had to leave.
    #[inline]
    pub(super) fn enter(&mut self, at: usize, message: M, wakers: &mut Wakers) -> Option<M> {
        let lane = &mut self.lanes[at];
        let full = self.terms.capacity > 0 && lane.messages.len() >= self.terms.capacity;
        let evicted = if full { lane.messages.pop_front() } else { None };
        lane.ages.entered(lane.messages.len());
        lane.messages.push_back(message);
        self.accepted += 1;
        match evicted {
            Some(_) => self.evicted += 1,
            None => self.set_queued(self.queued + 1),
        }
        self.consumers.rouse(wakers);
        evicted
    }

    /// Takes up to `max` messages in the order in which they are to be handled; returns how many.
    #[inline]
    pub(super) fn take(&mut self, max: usize, wakers: &mut Wakers, mut give: impl FnMut(M)) -> usize {
        let count = max.min(self.queued);
        if count == 0 {
            return 0;
        }
        if self.turns.is_none() {
            self.take_from(0, count, wakers, give);
        } else {
            for _ in 0..count {
                let (lanes, turns) = (&self.lanes, self.turns.as_mut());
                let lane = turns.and_then(|turns| turns.next(|at| !lanes[at].messages.is_empty()));
                let lane = lane.expect("as many are queued as the lanes hold");
                self.take_from(lane, 1, wakers, &mut give);
            }
        }
        self.set_queued(self.queued - count);
        // Whoever takes less than there is leaves the rest to the others.
        if self.queued > 0 {
            self.consumers.rouse(wakers);
        }
        count
    }

    fn take_from(&mut self, at: usize, count: usize, wakers: &mut Wakers, give: impl FnMut(M)) {
        let lane = &mut self.lanes[at];
        lane.messages.drain(..count).for_each(give);
        lane.ages.left(lane.messages.len());
        self.admit(at, count, wakers);
    }

    /// Wakes publishers for `room` messages in a lane.
    pub(super) fn admit(&mut self, lane: usize, room: usize, wakers: &mut Wakers) {
        if self.terms.capacity == 0 {
            return;
        }
        let Some(lane) = self.lanes.get_mut(lane) else { return };
        for _ in 0..room {
            if !lane.publishers.rouse(wakers) {
                break;
            }
        }
    }

    /// Wakes the publisher that may hand its message to a consumer that now waits.
    pub(super) fn admit_hand_over(&mut self, wakers: &mut Wakers) {
        if self.terms.capacity == 0 {
            self.lanes.iter_mut().any(|lane| lane.publishers.rouse(wakers));
        }
    }

    /// Wakes everybody: the queue has ended or is about to go.
    pub(super) fn rouse_all(&mut self, wakers: &mut Wakers) {
        self.consumers.rouse_all(wakers);
        self.lanes.iter_mut().for_each(|lane| lane.publishers.rouse_all(wakers));
    }

    /// How many messages wait or are in hands.
    pub(super) fn unended(&self) -> u64 {
        self.accepted.saturating_sub(self.evicted + self.tally.ended())
    }

    pub(super) fn oldest(&self) -> Option<Instant> {
        self.lanes.iter().filter_map(|lane| lane.ages.oldest()).min()
    }

    fn set_queued(&mut self, queued: usize) {
        self.queued = queued;
        self.tally.show_queued(queued as u64);
    }
}
