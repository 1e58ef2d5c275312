use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::state::{After, Hub, Refusal, State};
use crate::bus::Error;

/// What a publisher brings: one message or several.
pub(in crate::bus) trait Cargo<M> {
    /// The next message, if there is one left.
    fn peek(&self) -> Option<&M>;
    /// Takes the next message.
    fn take(&mut self) -> Option<M>;
}

impl<M> Cargo<M> for Option<M> {
    fn peek(&self) -> Option<&M> {
        self.as_ref()
    }

    fn take(&mut self) -> Option<M> {
        self.take()
    }
}

impl<M> Cargo<M> for VecDeque<M> {
    fn peek(&self) -> Option<&M> {
        self.front()
    }

    fn take(&mut self) -> Option<M> {
        self.pop_front()
    }
}

/// Publishes a cargo as there is room. Dropping it leaves the rest of the cargo with nobody.
pub(in crate::bus) struct Publishing<'a, M, C> {
    hub: &'a Hub<M>,
    cargo: &'a mut C,
    /// How many took the last message.
    takers: usize,
    waiting: Option<Waiting>,
}

/// Where a publisher waits, and since when in the order of those who wait.
#[derive(Clone, Copy)]
struct Waiting {
    place: usize,
    lane: usize,
    number: u64,
}

impl<'a, M: Clone, C: Cargo<M>> Publishing<'a, M, C> {
    pub(in crate::bus) fn new(hub: &'a Hub<M>, cargo: &'a mut C) -> Self {
        Self { hub, cargo, takers: 0, waiting: None }
    }

    /// Publishes what there is room for, without waiting.
    pub(in crate::bus) fn now(&mut self) -> Result<usize, Error> {
        let refusal =
            self.hub.locked(|state, after| Self::advance(self.cargo, &mut self.takers, state, after));
        match refusal {
            None => Ok(self.takers),
            Some(Refusal::Closed) => Err(Error::Closed),
            Some(Refusal::Rejected(place) | Refusal::NoRoom(place, _)) => {
                Err(Error::Full { subscriber: self.hub.subscriber(place) })
            }
        }
    }

    /// Whose queue holds it up.
    pub(in crate::bus) fn waits_for(&self) -> std::sync::Arc<str> {
        self.waiting.map_or_else(|| "".into(), |waiting| self.hub.subscriber(waiting.place))
    }

    /// Publishes until nothing is left or something is in the way.
    fn advance(
        cargo: &mut C,
        takers: &mut usize,
        state: &mut State<M>,
        after: &mut After<M>,
    ) -> Option<Refusal> {
        loop {
            match state.publish(cargo, after)? {
                Ok(took) => *takers = took,
                Err(refusal) => return Some(refusal),
            }
        }
    }
}

// Nothing in it is pinned.
impl<M, C> Unpin for Publishing<'_, M, C> {}

impl<M: Clone, C: Cargo<M>> Future for Publishing<'_, M, C> {
    type Output = Result<usize, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Without this, a publisher that always finds room would never let others run.
        let progress = ready!(tokio::task::coop::poll_proceed(context));
        let this = self.get_mut();
        let refusal = this.hub.locked(|state, after| {
            let refusal = Self::advance(this.cargo, &mut this.takers, state, after);
            let before = this.waiting.take();
            if let Some(Refusal::NoRoom(place, lane)) = refusal {
                let same = before.filter(|before| (before.place, before.lane) == (place, lane));
                let number = same.map_or_else(|| state.number(), |before| before.number);
                if let Some(queue) = state.queue(place) {
                    queue.lanes[lane].publishers.wait(number, context.waker());
                }
                this.waiting = Some(Waiting { place, lane, number });
                if same.is_some() {
                    return refusal;
                }
            }
            before.into_iter().for_each(|before| before.end(state, after));
            refusal
        });
        match refusal {
            Some(Refusal::NoRoom(..)) => return Poll::Pending,
            None => progress.made_progress(),
            Some(Refusal::Closed) => return Poll::Ready(Err(Error::Closed)),
            Some(Refusal::Rejected(place)) => {
                return Poll::Ready(Err(Error::Full { subscriber: this.hub.subscriber(place) }));
            }
        }
        Poll::Ready(Ok(this.takers))
    }
}

impl Waiting {
    /// Leaves the queue of those who wait; the wake-up that came for it, if one did, goes to the next.
    fn end<M>(self, state: &mut State<M>, after: &mut After<M>) {
        let Some(queue) = state.queue(self.place) else { return };
        let Some(lane) = queue.lanes.get_mut(self.lane) else { return };
        if lane.publishers.leave(self.number) || !queue.has_room(self.lane) {
            return;
        }
        queue.admit(self.lane, 1, &mut after.wakers);
        queue.admit_hand_over(&mut after.wakers);
    }
}

impl<M, C> Drop for Publishing<'_, M, C> {
    fn drop(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            self.hub.locked(|state, after| waiting.end(state, after));
        }
    }
}
