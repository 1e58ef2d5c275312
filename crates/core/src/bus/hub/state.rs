use std::sync::Arc;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::publish::Cargo;
use super::queue::{Obstacle, Plan, Queue, Terms};
use super::sleepers::{Wakers, wake};
use super::sync::Mutex;
use super::tally::{Bell, Tally, get};

/// The queues of a topic.
pub(in crate::bus) struct Hub<M> {
    state: Mutex<State<M>>,
    bell: Arc<Bell>,
}

pub(super) struct State<M> {
    /// A subscription keeps its place as long as it lasts.
    queues: Vec<Option<Queue<M>>>,
    /// What those count together that have left.
    left: Sums,
    closed: bool,
    published: u64,
    next_number: u64,
}

/// What happens after the lock has been given back: nobody is woken and no message destroyed under it.
pub(super) struct After<M> {
    pub(super) wakers: Wakers,
    evicted: SmallVec<[M; 1]>,
}

/// Why nothing could be published now.
pub(super) enum Refusal {
    Closed,
    /// The queue at this place rejects it.
    Rejected(usize),
    /// There is no room in this lane of the queue at this place.
    NoRoom(usize, usize),
}

/// What has become of all messages of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::bus) struct Sums {
    pub(in crate::bus) accepted: u64,
    pub(in crate::bus) evicted: u64,
    pub(in crate::bus) handled: u64,
    pub(in crate::bus) dead: u64,
    pub(in crate::bus) parked: u64,
    pub(in crate::bus) abandoned: u64,
    /// How many wait or are in hands.
    pub(in crate::bus) unended: u64,
}

/// What one queue counts.
pub(in crate::bus) struct Counts {
    pub(in crate::bus) subscriber: Arc<str>,
    pub(in crate::bus) capacity: usize,
    pub(in crate::bus) tally: Arc<Tally>,
    pub(in crate::bus) queued: usize,
    pub(in crate::bus) unended: u64,
    pub(in crate::bus) oldest: Option<Instant>,
    pub(in crate::bus) dropped: u64,
    pub(in crate::bus) rejected: u64,
}

impl<M> Hub<M> {
    pub(in crate::bus) fn new(bell: Arc<Bell>) -> Self {
        let state =
            State { queues: Vec::new(), left: Sums::default(), closed: false, published: 0, next_number: 0 };
        Self { state: Mutex::new(state), bell }
    }

    /// What rings when a message ends.
    pub(in crate::bus) fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// Does `work` under the lock, and afterwards what is to be done without it.
    pub(super) fn locked<R>(&self, work: impl FnOnce(&mut State<M>, &mut After<M>) -> R) -> R {
        let mut after = After { wakers: Wakers::new(), evicted: SmallVec::new() };
        let result = work(&mut self.state.lock(), &mut after);
        if !after.wakers.is_empty() {
            wake(after.wakers);
        }
        result
    }

    /// Adds a queue and returns its place; none once closed.
    pub(in crate::bus) fn attach(&self, terms: Terms<M>, tally: Arc<Tally>) -> Option<usize> {
        self.locked(|state, _| {
            if state.closed {
                return None;
            }
            let queue = Some(Queue::new(terms, tally));
            let place = state.queues.iter().position(Option::is_none).unwrap_or(state.queues.len());
            if place == state.queues.len() {
                state.queues.push(queue);
            } else {
                state.queues[place] = queue;
            }
            Some(place)
        })
    }

    /// Removes a queue; what it holds, and what its consumers have in hand, is abandoned.
    pub(in crate::bus) fn detach(&self, place: usize) {
        // The queue is destroyed after the lock has been given back.
        let _queue = self.locked(|state, after| {
            let mut queue = state.queues[place].take()?;
            queue.rouse_all(&mut after.wakers);
            let sums = Sums::of(&queue);
            state.left += Sums { abandoned: sums.abandoned + sums.unended, unended: 0, ..sums };
            Some(queue)
        });
        self.bell.ring();
    }

    /// Refuses to publish from now on; consumers take what is left.
    pub(in crate::bus) fn close(&self) {
        self.locked(|state, after| {
            state.closed = true;
            state.queues.iter_mut().flatten().for_each(|queue| queue.rouse_all(&mut after.wakers));
        });
    }

    /// How many messages were published.
    pub(in crate::bus) fn published(&self) -> u64 {
        self.locked(|state, _| state.published)
    }

    /// What has become of all messages.
    pub(in crate::bus) fn sums(&self) -> Sums {
        self.locked(|state, _| {
            let mut sums = state.left;
            state.queues.iter().flatten().for_each(|queue| sums += Sums::of(queue));
            sums
        })
    }

    /// What each queue counts.
    pub(in crate::bus) fn counts(&self) -> Vec<Counts> {
        self.locked(|state, _| {
            let queues = state.queues.iter().flatten();
            let counts = queues.map(|queue| Counts {
                subscriber: Arc::clone(&queue.terms.subscriber),
                capacity: queue.terms.capacity,
                tally: Arc::clone(&queue.tally),
                queued: queue.queued,
                unended: queue.unended(),
                oldest: queue.oldest(),
                dropped: queue.evicted + queue.turned_away,
                rejected: queue.rejected,
            });
            counts.collect()
        })
    }

    /// Who subscribes at this place.
    pub(in crate::bus) fn subscriber(&self, place: usize) -> Arc<str> {
        self.locked(|state, _| {
            state.queue(place).map_or_else(|| Arc::from(""), |queue| Arc::clone(&queue.terms.subscriber))
        })
    }
}

impl<M> State<M> {
    pub(super) fn queue(&mut self, place: usize) -> Option<&mut Queue<M>> {
        self.queues.get_mut(place)?.as_mut()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// A number that no other sleeper of this topic has.
    pub(super) fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Gives the next message of the cargo to all queues that want it, and returns how many took it; or gives it
    /// to none.
    pub(super) fn publish<C: Cargo<M>>(
        &mut self,
        cargo: &mut C,
        after: &mut After<M>,
    ) -> Option<Result<usize, Refusal>>
    where
        M: Clone,
    {
        let message = cargo.peek()?;
        let takers = match self.plan(message) {
            Ok(takers) => takers,
            Err(refusal) => return Some(Err(refusal)),
        };
        let mut message = cargo.take();
        let mut left = takers;
        for queue in self.queues.iter_mut().flatten() {
            let lane = match queue.plan {
                Plan::Pass => continue,
                Plan::TurnAway => {
                    queue.turned_away += 1;
                    continue;
                }
                Plan::Enter(lane) => lane,
            };
            left -= 1;
            // The last one gets the message itself.
            let message = if left == 0 { message.take() } else { message.clone() };
            let Some(message) = message else { continue };
            if let Some(evicted) = queue.enter(lane, message, &mut after.wakers) {
                after.evicted.push(evicted);
            }
        }
        self.published += 1;
        Some(Ok(takers))
    }

    /// Lets each queue decide, and returns how many will take the message.
    fn plan(&mut self, message: &M) -> Result<usize, Refusal> {
        if self.closed {
            return Err(Refusal::Closed);
        }
        let (mut takers, mut wait) = (0, None);
        for (place, queue) in self.queues.iter_mut().enumerate() {
            let Some(queue) = queue else { continue };
            match queue.plan(message) {
                Ok(plan) => takers += usize::from(matches!(plan, Plan::Enter(_))),
                Err(Obstacle::Wait(lane)) => wait = wait.or(Some(Refusal::NoRoom(place, lane))),
                Err(Obstacle::Reject) => {
                    queue.rejected += 1;
                    return Err(Refusal::Rejected(place));
                }
            }
        }
        wait.map_or(Ok(takers), Err)
    }
}

impl Sums {
    fn of<M>(queue: &Queue<M>) -> Self {
        // What has ended is read once, for it may grow meanwhile.
        let tally = &queue.tally;
        let (handled, dead) = (get(&tally.handled), get(&tally.dead));
        let (parked, abandoned) = (get(&tally.parked), get(&tally.released));
        let ended = handled + dead + parked + abandoned;
        let (accepted, evicted) = (queue.accepted, queue.evicted);
        Self { accepted, evicted, handled, dead, parked, abandoned, unended: accepted - evicted - ended }
    }
}

impl std::ops::AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.evicted += other.evicted;
        self.handled += other.handled;
        self.dead += other.dead;
        self.parked += other.parked;
        self.abandoned += other.abandoned;
        self.unended += other.unended;
    }
}
