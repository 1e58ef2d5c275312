use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use steadfast_base::{ContextMut, Deadline};
use tokio::time::Instant;

use super::caller::{self, Caller};
use super::cause::Failed;
use super::chores::Kept;
use super::pool::Turn;
use super::shared::Shared;
use super::slots::Slots;
use super::table::{Call, Chore, Seat};
use super::timer::Timer;
use super::{Cause, Delivery, Inlet, span};

/// How many calls a run takes at once, so that other runs get their share.
const TAKE_MAX: usize = 8;

/// The handlers of one run at work, and what it has taken from the table.
///
/// Dropping it gives all of that back.
pub(super) struct Crew<'a, T: Clone + Send + Sync + 'static, I: Inlet<T>, C: Caller<T>> {
    shared: &'a Shared<T, I>,
    caller: &'a mut C,
    seat: u64,
    slots: Slots<C::Future>,
    woken: Vec<u32>,
    /// Taken and not called yet.
    taken: Vec<Taken<T>>,
    /// Over, and not yet told to the table.
    over: Vec<(Call, Result<(), Failed>)>,
    chores: Vec<(u32, Chore)>,
    keeping: FuturesUnordered<BoxFuture<'a, (u32, Kept)>>,
    kept: Vec<(u32, Kept)>,
    deliveries: Vec<Delivery<T>>,
    /// The handler is not ready, and will wake the task when it is.
    blocked: bool,
    handler_ns: u64,
}

struct Taken<T> {
    call: Call,
    delivery: Delivery<T>,
    /// The deliveries of a batch behind the first.
    rest: Vec<Delivery<T>>,
}

impl<'a, T, I, C> Crew<'a, T, I, C>
where
    T: Clone + Send + Sync + 'static,
    I: Inlet<T>,
    C: Caller<T>,
{
    pub(super) fn new(shared: &'a Shared<T, I>, caller: &'a mut C) -> Self {
        let mut table = shared.table.lock();
        let seat = table.seats.last().map_or(0, |seat| seat.id + 1);
        table.seats.push(Seat { id: seat, waker: None, idle: false });
        Self {
            shared,
            caller,
            seat,
            slots: Slots::new(),
            woken: Vec::new(),
            taken: Vec::new(),
            over: Vec::new(),
            chores: Vec::new(),
            keeping: FuturesUnordered::new(),
            kept: Vec::new(),
            deliveries: Vec::new(),
            blocked: false,
            handler_ns: 0,
        }
    }

    /// Begins to look for work.
    pub(super) fn enter(&mut self, cx: &Context<'_>) {
        self.blocked = false;
        self.slots.register(cx);
    }

    /// Polls the handlers that were woken, ends those that are late, and polls what is being kept.
    pub(super) fn poll_handlers(&mut self, cx: &mut Context<'_>, mut late: Pin<&mut Timer>) {
        let mut woken = std::mem::take(&mut self.woken);
        self.slots.take_woken(&mut woken);
        for index in woken.drain(..) {
            if self.slots.is_waiting(index) {
                self.poll_handler(index);
            }
        }
        self.woken = woken;
        while let Some((index, deadline)) = self.slots.first_deadline() {
            if late.as_mut().poll_until(deadline, cx).is_pending() {
                break;
            }
            self.end(index, Err(Failed::transient(Cause::TimedOut)), Instant::now());
        }
        while !self.keeping.is_empty()
            && let Poll::Ready(Some((index, kept))) = self.keeping.poll_next_unpin(cx)
        {
            self.chores.retain(|(chore, _)| *chore != index);
            self.kept.push((index, kept));
        }
    }

    /// Tells the table what is over and takes what is to be done next.
    pub(super) fn turn_over(&mut self, cx: &Context<'_>) -> Turn {
        let Self { shared, over, kept, chores, keeping, taken, .. } = self;
        let now = Instant::now();
        let deadline = now + shared.attempt_timeout;
        let batch = self.caller.batch();
        let (waiting_max, concurrency) = (shared.handling.waiting_max, shared.handling.concurrency.max(1));
        let table = &mut *shared.table.lock();
        shared.counters.handler_ns.add(std::mem::take(&mut self.handler_ns));
        for (call, result) in over.drain(..) {
            shared.finish(table, &call, result, now);
        }
        for (index, kept) in kept.drain(..) {
            shared.kept(table, index, kept);
        }
        let mut resume_at = if table.sleeps() { table.wake_sleepers(now) } else { None };
        let mut is_work = false;
        while let Some((index, chore)) = table.next_chore() {
            chores.push((index, chore));
            keeping.push(shared.keep(&table.entries[index], index, chore));
            is_work = true;
        }
        while !self.blocked && taken.len() < TAKE_MAX && table.running < concurrency {
            match table.next_call(batch, waiting_max, now) {
                Ok(call) => {
                    let mut deliveries = call.members().map(|member| {
                        let entry = &table.entries[member];
                        let item = entry.item();
                        let first = entry.first_attempted.unwrap_or(now);
                        shared.count_attempt(item);
                        shared.delivery(item, first, deadline)
                    });
                    let delivery = deliveries.next().expect("a call is made for one delivery at least");
                    let rest = deliveries.collect();
                    taken.push(Taken { call, delivery, rest });
                }
                Err(due) => {
                    resume_at = resume_at.into_iter().chain(due).min();
                    break;
                }
            }
        }
        shared.counters.in_hand.set(table.held() as u64);
        if table.ended && table.held() == 0 {
            table.wake_all();
            return Turn::Done;
        }
        is_work |= !taken.is_empty();
        if is_work && table.has_work(concurrency) {
            table.wake_one();
        }
        if table.drawer.is_some()
            && table.room(waiting_max, batch.0) > 0
            && let Some(drawer) = table.drawer.take()
        {
            if drawer.will_wake(cx.waker()) {
                is_work = true;
            } else {
                drawer.wake();
            }
        }
        let id = self.seat;
        if let Some(seat) = table.seats.iter_mut().find(|seat| seat.id == id) {
            seat.sit(cx.waker(), !is_work && !self.blocked);
        }
        if is_work { Turn::Work } else { Turn::Idle(resume_at) }
    }

    /// Calls the handler for what was taken, and polls each call once.
    pub(super) fn start(&mut self, cx: &mut Context<'_>) {
        let mut taken = std::mem::take(&mut self.taken);
        let mut now = None;
        for Taken { call, delivery, rest } in taken.drain(..) {
            if self.blocked {
                self.untake(&call);
                continue;
            }
            match caller::poll_ready(self.caller, cx) {
                Poll::Pending => {
                    self.blocked = true;
                    self.untake(&call);
                    continue;
                }
                Poll::Ready(Err(failed)) => {
                    self.over.push((call, Err(failed)));
                    continue;
                }
                Poll::Ready(Ok(())) => {}
            }
            let start = *now.get_or_insert_with(Instant::now);
            let deadline = start + self.shared.attempt_timeout;
            self.deliveries.clear();
            self.deliveries.push(delivery);
            self.deliveries.extend(rest);
            self.deliveries.iter_mut().for_each(|delivery| delivery.set_deadline(Deadline::at(deadline)));
            let index = self.slots.enter(call, start, deadline);
            let slot = self.slots.get(index);
            slot.span = self.shared.span(&self.deliveries);
            let called = {
                let _entered = slot.span.enter();
                caller::call(self.caller, &mut self.deliveries, slot.future.as_mut())
            };
            match called {
                Ok(()) => self.poll_handler(index),
                Err(failed) => self.end(index, Err(failed), Instant::now()),
            }
            now = None;
        }
        self.taken = taken;
    }

    fn poll_handler(&mut self, index: u32) {
        let slot = self.slots.get(index);
        let polled = {
            let _entered = slot.span.enter();
            caller::poll::<T, C>(slot.future.as_mut(), &mut Context::from_waker(&slot.waker))
        };
        match polled {
            Poll::Ready(result) => self.end(index, result, Instant::now()),
            Poll::Pending if self.slots.is_waiting(index) => {}
            Poll::Pending => self.slots.wait(index),
        }
    }

    fn end(&mut self, index: u32, result: Result<(), Failed>, now: Instant) {
        let slot = self.slots.get(index);
        caller::clear(slot.future.as_mut());
        span::end(&slot.span, &result);
        self.handler_ns += now.saturating_duration_since(slot.started).as_nanos() as u64;
        if let Some(call) = self.slots.leave(index) {
            self.over.push((call, result));
        }
    }

    /// Gives back a call that was not made.
    fn untake(&self, call: &Call) {
        let mut table = self.shared.table.lock();
        table.returned(call);
        for member in call.members() {
            table.entries[member].item_mut().attempts -= 1;
            table.put_back(member, None);
        }
        table.wake_one();
    }
}

impl<T: Clone + Send + Sync + 'static, I: Inlet<T>, C: Caller<T>> Drop for Crew<'_, T, I, C> {
    fn drop(&mut self) {
        for Taken { call, .. } in std::mem::take(&mut self.taken) {
            self.untake(&call);
        }
        let at_work: Vec<Call> = self.slots.drain().collect();
        let table = &mut *self.shared.table.lock();
        for (call, result) in self.over.drain(..) {
            self.shared.finish(table, &call, result, Instant::now());
        }
        for (index, kept) in self.kept.drain(..) {
            self.shared.kept(table, index, kept);
        }
        for call in at_work {
            table.returned(&call);
            for member in call.members() {
                table.put_back(member, None);
            }
        }
        for (index, chore) in self.chores.drain(..) {
            self.shared.unkept(table, index, chore);
        }
        let id = self.seat;
        table.seats.retain(|seat| seat.id != id);
        table.wake_all();
    }
}

impl Seat {
    fn sit(&mut self, waker: &Waker, idle: bool) {
        self.idle = idle;
        match &mut self.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }
}
