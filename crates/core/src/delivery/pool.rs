//! Orders `PerKey` and `None`: many handlers at the same time, in each run as many as its share of the work.
//!
//! What is in hand stands in one [`Table`](super::table::Table) that all runs take from; a run that is dropped gives
//! back what it took. One run at a time draws, so that messages enter the table in their order.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};

use tokio::time::Instant;

use super::caller::Caller;
use super::crew::Crew;
use super::item::Item;
use super::shared::Shared;
use super::timer::Timer;
use super::{Envelope, Inlet};

/// How many messages are drawn at once.
const DRAW_MAX: usize = 64;

/// How often a run looks for work before it lets other tasks of the runtime go first.
const ROUNDS_MAX: usize = 16;

pub(super) async fn run<T, I, C>(shared: &Shared<T, I>, caller: &mut C)
where
    T: Clone + Send + Sync + 'static,
    I: Inlet<T>,
    C: Caller<T>,
{
    let mut draw = pin!(draw(shared, caller.batch().0));
    let mut drawn_up = false;
    let mut crew = Crew::new(shared, caller);
    let (mut late, mut resume) = (pin!(Timer::new()), pin!(Timer::new()));
    poll_fn(|cx| {
        crew.enter(cx);
        for _ in 0..ROUNDS_MAX {
            if !drawn_up {
                drawn_up = draw.as_mut().poll(cx).is_ready();
            }
            crew.poll_handlers(cx, late.as_mut());
            match crew.turn_over(cx) {
                Turn::Done => return Poll::Ready(()),
                Turn::Work => crew.start(cx),
                Turn::Idle(at) => {
                    let is_due = at.is_some_and(|at| resume.as_mut().poll_until(at, cx).is_ready());
                    if !is_due {
                        return Poll::Pending;
                    }
                }
            }
            if !tokio::task::coop::has_budget_remaining() {
                break;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// What a look at the table has come to.
pub(super) enum Turn {
    /// There is something to do.
    Work,
    /// There is nothing to do until something happens, or until a certain time.
    Idle(Option<Instant>),
    /// The inlet has ended and nothing is in hand.
    Done,
}

/// Draws whenever there is room, as long as the inlet has messages.
async fn draw<T, I>(shared: &Shared<T, I>, size_max: usize)
where
    T: Clone + Send + Sync + 'static,
    I: Inlet<T>,
{
    let mut drawn = shared.drawn.lock().await;
    shared.find_parked().await;
    loop {
        shared.take_in(&mut drawn);
        let Some(room) = poll_fn(|cx| shared.poll_room(cx, size_max)).await else { return };
        if shared.inlet.draw(room.min(DRAW_MAX.max(size_max)), &mut drawn).await == 0 {
            let mut table = shared.table.lock();
            table.ended = true;
            table.wake_all();
            return;
        }
    }
}

impl<T, I: Inlet<T>> Shared<T, I> {
    fn take_in(&self, drawn: &mut Vec<Envelope<T, I::Ticket>>) {
        if drawn.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut table = self.table.lock();
        for envelope in drawn.drain(..) {
            table.insert(Item::from(envelope), now);
        }
    }

    /// Waits until more may be drawn and returns how many, none once the inlet has ended.
    fn poll_room(&self, cx: &mut Context<'_>, size_max: usize) -> Poll<Option<usize>> {
        let mut table = self.table.lock();
        if table.ended {
            return Poll::Ready(None);
        }
        match table.room(self.handling.waiting_max, size_max) {
            0 => {
                match &mut table.drawer {
                    Some(waker) => waker.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
            room => Poll::Ready(Some(room)),
        }
    }
}
