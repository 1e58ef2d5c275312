use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use smallvec::SmallVec;

use super::lane::Turns;
use super::queue::Terms;
use super::state::{After, Hub, State};
use super::sync::{AtomicU64, Mutex};
use super::tally::{Bell, Tally, get};

/// The end of a queue that messages are taken from. Dropping it removes the queue.
pub(in crate::bus) struct Intake<M> {
    hub: Arc<Hub<M>>,
    place: usize,
    pub(in crate::bus) tally: Arc<Tally>,
    /// The hub's own; kept here too, for the hub's memory is written with each message that is published.
    bell: Arc<Bell>,
}

/// Waits for messages of one intake, or of several in turns, and gives up to `max` of them. Dropping it loses none.
pub(in crate::bus) struct Drawing<'a, M, F> {
    intakes: &'a [Intake<M>],
    turns: Option<&'a Mutex<Turns>>,
    max: usize,
    /// Takes a message and which intake it is from.
    give: F,
    /// Its number at each intake, if it waits; 0 where it does not.
    waiting: SmallVec<[u64; 1]>,
}

/// What a look at a queue found.
enum Found {
    Taken(usize),
    /// The topic is closed and the queue empty.
    Ended,
    /// Waits under this number.
    Waits(u64),
}

impl<M> Intake<M> {
    /// Adds a queue to a topic; none once that is closed.
    pub(in crate::bus) fn attach(hub: Arc<Hub<M>>, terms: Terms<M>) -> Option<Self> {
        let tally = Arc::new(Tally::new());
        let place = hub.attach(terms, Arc::clone(&tally))?;
        let bell = Arc::clone(hub.bell());
        Some(Self { hub, place, tally, bell })
    }

    /// Counts a message that has left the hands of handlers.
    pub(in crate::bus) fn end(&self, which: impl FnOnce(&Tally) -> &AtomicU64) {
        self.bell.count(which(&self.tally));
    }

    /// Takes what is there, or else waits.
    fn look(&self, max: usize, number: Option<u64>, waker: &Waker, give: impl FnMut(M)) -> Found {
        self.hub.locked(|state, after| {
            let closed = state.is_closed();
            let fresh = number.unwrap_or_else(|| state.number());
            let Some(queue) = state.queue(self.place) else { return Found::Ended };
            let taken = queue.take(max, &mut after.wakers, give);
            if taken > 0 {
                if let Some(number) = number {
                    queue.consumers.leave(number);
                }
                return Found::Taken(taken);
            }
            if closed {
                return Found::Ended;
            }
            queue.consumers.wait(fresh, waker);
            queue.admit_hand_over(&mut after.wakers);
            Found::Waits(fresh)
        })
    }

    /// Takes what is there.
    fn take(&self, max: usize, give: impl FnMut(M)) -> usize {
        self.hub.locked(|state, after| {
            state.queue(self.place).map_or(0, |queue| queue.take(max, &mut after.wakers, give))
        })
    }

    /// Stops waiting; a wake-up that came meanwhile goes to another consumer.
    fn leave(&self, number: u64) {
        let end = |state: &mut State<M>, after: &mut After<M>| {
            let Some(queue) = state.queue(self.place) else { return };
            if !queue.consumers.leave(number) && queue.queued > 0 {
                queue.consumers.rouse(&mut after.wakers);
            }
        };
        self.hub.locked(end);
    }
}

impl<M> Drop for Intake<M> {
    fn drop(&mut self) {
        self.hub.detach(self.place);
    }
}

impl<'a, M, F: FnMut(usize, M)> Drawing<'a, M, F> {
    /// Draws from `intakes`; if they are several, in `turns`.
    pub(in crate::bus) fn new(
        intakes: &'a [Intake<M>],
        turns: Option<&'a Mutex<Turns>>,
        max: usize,
        give: F,
    ) -> Self {
        Self { intakes, turns, max: max.max(1), give, waiting: SmallVec::new() }
    }

    /// Takes one message after the other from the intake whose turn it is.
    fn take_in_turns(&mut self) -> usize {
        let Some(turns) = self.turns else { return 0 };
        let mut taken = 0;
        while taken < self.max {
            let next = turns.lock().next(|at| get(&self.intakes[at].tally.queued.0) > 0);
            let Some(at) = next else { break };
            // Another consumer may have been faster: then look again.
            taken += self.intakes[at].take(1, |message| (self.give)(at, message));
        }
        taken
    }

    fn note(&mut self, at: usize, number: u64) {
        match self.waiting.get_mut(at) {
            Some(known) => *known = number,
            None => self.waiting.push(number),
        }
    }
}

impl<M, F> Drawing<'_, M, F> {
    fn leave(&mut self) {
        let waiting = self.intakes.iter().zip(self.waiting.drain(..));
        waiting.filter(|(_, number)| *number != 0).for_each(|(intake, number)| intake.leave(number));
    }
}

// Nothing in it is pinned.
impl<M, F> Unpin for Drawing<'_, M, F> {}

impl<M, F: FnMut(usize, M)> Future for Drawing<'_, M, F> {
    /// How many messages were given; 0 once all intakes have ended.
    type Output = usize;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<usize> {
        let progress = ready!(tokio::task::coop::poll_proceed(context));
        let this = self.get_mut();
        let mut taken = this.take_in_turns();
        if taken == 0 {
            let mut waits = false;
            for (at, intake) in this.intakes.iter().enumerate() {
                let number = this.waiting.get(at).copied().filter(|number| *number != 0);
                match intake.look(this.max, number, context.waker(), |message| (this.give)(at, message)) {
                    Found::Taken(count) => {
                        this.note(at, 0);
                        taken = count;
                        break;
                    }
                    Found::Ended => this.note(at, 0),
                    Found::Waits(number) => {
                        this.note(at, number);
                        waits = true;
                    }
                }
            }
            if taken == 0 && waits {
                return Poll::Pending;
            }
        }
        progress.made_progress();
        this.leave();
        Poll::Ready(taken)
    }
}

impl<M, F> Drop for Drawing<'_, M, F> {
    fn drop(&mut self) {
        self.leave();
    }
}
