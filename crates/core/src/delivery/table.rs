//! The messages in hand under the orders `PerKey` and `None`: which of them may be handled now, which wait for
//! their key, and which for the time of their repetition.
//!
//! Messages of one key form a chain in the order in which they were drawn; only its head may be worked on, so order
//! holds whoever does the work. Places are used again, so that a message costs no allocation once as many were in
//! hand before.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, SystemTime};

use steadfast_base::Rng;
use tokio::time::Instant;

use super::Cause;
use super::item::{Item, Origin};
use super::keys::{KeyLink, Keys, Links, NONE};
use super::letters::DeadLetters;
use super::parked::{ParkedKeys, Verdict};
use super::{Handling, Order, Parking};

pub(super) struct Table<T, K> {
    pub(super) entries: Entries<T, K>,
    free: Vec<u32>,
    keys: Option<Keys>,
    /// Heads that a handler may take, in order.
    ready: VecDeque<u32>,
    /// Heads that are to be kept, removed or settled without a handler.
    chores: VecDeque<u32>,
    /// Heads that wait for their repetition.
    sleeping: BinaryHeap<Reverse<(Instant, u32)>>,
    pub(super) parked: ParkedKeys,
    parking: Parking,
    /// What tells which keys have letters; none if no key is parked.
    letters: Option<Letters<T>>,
    attempts_max: u32,
    /// How many messages are in hand, and how many of them are with a handler.
    held: usize,
    /// How many messages were ever taken into hand.
    drawn: u64,
    with_handlers: usize,
    /// How many calls are at work.
    pub(super) running: usize,
    /// The inlet has ended.
    pub(super) ended: bool,
    pub(super) seats: Vec<Seat>,
    /// Who draws and waits for room to do so.
    pub(super) drawer: Option<Waker>,
    pub(super) rng: Rng,
}

/// The place that keeps dead letters, and what letters of this dispatcher are known by there.
struct Letters<T> {
    kept: Arc<dyn DeadLetters<T>>,
    destination: Arc<str>,
    subscriber: Arc<str>,
}

/// A run that takes part.
pub(super) struct Seat {
    pub(super) id: u64,
    pub(super) waker: Option<Waker>,
    /// It found nothing to do.
    pub(super) idle: bool,
}

pub(super) struct Entries<T, K>(Vec<Entry<T, K>>);

pub(super) struct Entry<T, K> {
    item: Option<Item<T, K>>,
    /// Its number in the order in which messages were taken into hand.
    number: u64,
    state: State,
    /// It stands in the chain of its key, and is its head.
    chained: bool,
    head: bool,
    link: KeyLink,
    /// The next of the same key.
    next: u32,
    /// The last of the same key, if this is the head.
    tail: u32,
    /// When it got into its state.
    pub(super) since: Instant,
    pub(super) first_attempted: Option<Instant>,
    pub(super) first_failed: Option<SystemTime>,
    /// What the last attempt failed with; none while it is under way, and so after it was dropped.
    pub(super) cause: Option<Cause>,
    pub(super) end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    /// It waits for others of its key, or for its key to be replayed.
    Waiting,
    Ready,
    Chore,
    AtWork,
    Sleeping,
}

/// What is known of how a message ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Open,
    /// It gets no other attempt.
    Dead,
    /// It was handled, and its letter is to be removed.
    Handled,
}

/// What is to be done with a message that no handler sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chore {
    Bury,
    Park,
    Remove,
}

/// The messages that one call is made for.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) first: u32,
    /// Those of a batch behind the first; empty, without memory, for a single delivery.
    pub(super) rest: Vec<u32>,
}

impl Call {
    pub(super) fn members(&self) -> impl DoubleEndedIterator<Item = u32> {
        std::iter::once(self.first).chain(self.rest.iter().copied())
    }

    pub(super) fn len(&self) -> usize {
        1 + self.rest.len()
    }
}

impl<T, K> Table<T, K> {
    pub(super) fn new(handling: &Handling<T>, destination: &Arc<str>, subscriber: &Arc<str>) -> Self {
        let letters = handling.parks().then(|| Letters {
            kept: Arc::clone(&handling.dead_letters),
            destination: Arc::clone(destination),
            subscriber: Arc::clone(subscriber),
        });
        let entries_max = handling.concurrency.saturating_add(handling.waiting_max);
        Self {
            entries: Entries(Vec::new()),
            free: Vec::new(),
            keys: (handling.order == Order::PerKey).then(|| Keys::new(entries_max)),
            ready: VecDeque::new(),
            chores: VecDeque::new(),
            sleeping: BinaryHeap::new(),
            parked: ParkedKeys::default(),
            parking: handling.parking,
            letters,
            attempts_max: handling.redelivery.attempts_max.max(1),
            held: 0,
            drawn: 0,
            with_handlers: 0,
            running: 0,
            ended: false,
            seats: Vec::new(),
            drawer: None,
            rng: handling.redelivery.seed.rng(),
        }
    }

    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Returns how many more may be drawn now.
    pub(super) fn room(&self, waiting_max: usize, size_max: usize) -> usize {
        let waiting = self.held - self.with_handlers;
        // While there is enough to do, what is not drawn waits where it is bounded, or is another consumer's.
        if self.ready.len() >= size_max.max(32) { 0 } else { waiting_max.max(1).saturating_sub(waiting) }
    }

    /// Takes a message into hand.
    pub(super) fn insert(&mut self, item: Item<T, K>, now: Instant) {
        let end = if item.attempts >= self.attempts_max { End::Dead } else { End::Open };
        // A letter is replayed outside of the chain of those that come meanwhile.
        let chained = matches!(item.origin, Origin::Inlet(_));
        let entry = Entry::new(item, self.drawn, end, now);
        self.drawn += 1;
        let index = match self.free.pop() {
            Some(index) => {
                self.entries[index] = entry;
                index
            }
            None => {
                self.entries.0.push(entry);
                // Then giving a place back never allocates.
                self.free.reserve(self.entries.0.len());
                (self.entries.0.len() - 1) as u32
            }
        };
        self.held += 1;
        if !chained || self.chain(index) {
            self.proceed(index);
        }
    }

    /// Puts an entry at the end of the chain of its key, if it has one; says whether it need not wait there.
    fn chain(&mut self, index: u32) -> bool {
        let (Some(keys), Some(key)) = (&mut self.keys, self.entries.partition_key(index)) else {
            return true;
        };
        let hash = keys.hash(key);
        let head = keys.find(hash, key, &self.entries);
        self.entries[index].chained = true;
        match head {
            Some(head) => {
                let tail = std::mem::replace(&mut self.entries[head].tail, index);
                self.entries[tail].next = index;
                false
            }
            None => {
                keys.insert(hash, index, &mut self.entries);
                let entry = &mut self.entries[index];
                (entry.head, entry.tail) = (true, index);
                true
            }
        }
    }

    /// Puts a message that nothing stands before where it can be taken up.
    pub(super) fn proceed(&mut self, index: u32) {
        let is_letter = self.entries[index].item().letter().is_some();
        let verdict = if is_letter { Verdict::Handle } else { self.verdict(index) };
        let entry = &mut self.entries[index];
        if entry.end == End::Open {
            match verdict {
                Verdict::Handle => {
                    entry.state = State::Ready;
                    self.ready.push_back(index);
                    return;
                }
                Verdict::Hold => {
                    entry.state = State::Waiting;
                    self.hold(index);
                    return;
                }
                Verdict::Bury => {
                    entry.cause = Some(Cause::ParkingFull);
                    entry.end = End::Dead;
                }
                Verdict::Park => {}
            }
        }
        entry.state = State::Chore;
        self.chores.push_back(index);
    }

    /// Says what is to be done with a message, as far as its key has letters.
    fn verdict(&mut self, index: u32) -> Verdict {
        let Some(letters) = &self.letters else { return Verdict::Handle };
        let Some(key) = &self.entries[index].item().message.about().partition_key else {
            return Verdict::Handle;
        };
        if let Some(is_held) = letters.kept.holds(&letters.destination, &letters.subscriber, key) {
            self.parked.learn(key, is_held);
        }
        self.parked.verdict(key, self.parking)
    }

    fn hold(&mut self, index: u32) {
        if let Some(key) = self.entries.partition_key(index)
            && let Some(parked) = self.parked.get_mut(key)
        {
            parked.held = Some(index);
        }
    }

    /// Takes the next message that no handler is to see.
    pub(super) fn next_chore(&mut self) -> Option<(u32, Chore)> {
        while let Some(index) = self.chores.pop_front() {
            let chore = match self.entries[index].end {
                End::Dead => Chore::Bury,
                End::Handled => Chore::Remove,
                End::Open => {
                    // Its key may have been replayed since, or is full by now.
                    if self.verdict(index) != Verdict::Park {
                        self.proceed(index);
                        continue;
                    }
                    let key = self.entries.partition_key(index).unwrap_or_default();
                    self.parked.reserve(key);
                    Chore::Park
                }
            };
            self.entries[index].state = State::AtWork;
            return Some((index, chore));
        }
        None
    }

    /// Takes the messages of the next call, or says when there will be one even if nothing else comes.
    pub(super) fn next_call(
        &mut self,
        (size_max, within): (usize, Duration),
        waiting_max: usize,
        now: Instant,
    ) -> Result<Call, Option<Instant>> {
        let Some(&first) = self.ready.front() else { return Err(None) };
        let mut rest = Vec::new();
        let mut heads = 1;
        if size_max > 1 {
            let mut members = Vec::new();
            heads = 0;
            for &head in &self.ready {
                heads += 1;
                self.follow(head, size_max, &mut members);
                if members.len() >= size_max {
                    break;
                }
            }
            let more_can_come = !self.ended && self.room(waiting_max, size_max) > 0;
            if members.len() < size_max && more_can_come {
                let oldest = self.ready.iter().map(|&head| self.entries[head].since).min();
                let due = oldest.map(|oldest| oldest + within);
                if due.is_some_and(|due| due > now) {
                    return Err(due);
                }
            }
            rest = members.split_off(1);
        }
        self.ready.drain(..heads);
        let call = Call { first, rest };
        for member in call.members() {
            let entry = &mut self.entries[member];
            (entry.state, entry.since) = (State::AtWork, now);
            entry.first_attempted.get_or_insert(now);
            entry.cause = None;
            if let Some(item) = &mut entry.item {
                item.attempts += 1;
            }
        }
        self.running += 1;
        self.with_handlers += call.len();
        Ok(call)
    }

    /// Appends `head` and those of its key behind it that may be handled in the same batch.
    fn follow(&self, head: u32, size_max: usize, members: &mut Vec<u32>) {
        let mut at = head;
        while at != NONE && members.len() < size_max {
            let entry = &self.entries[at];
            if at != head && (entry.end != End::Open || entry.state != State::Waiting) {
                return;
            }
            members.push(at);
            at = entry.next;
        }
    }

    /// Takes the call's messages from the handler; they are not ended by that.
    pub(super) fn returned(&mut self, call: &Call) {
        self.running -= 1;
        self.with_handlers -= call.len();
    }

    /// Puts a message whose attempt is over back to where it waits, until `at` if that is said.
    pub(super) fn put_back(&mut self, index: u32, at: Option<Instant>) {
        let entry = &mut self.entries[index];
        if entry.item.as_ref().is_some_and(|item| item.attempts >= self.attempts_max)
            && entry.end == End::Open
        {
            entry.end = End::Dead;
        }
        if entry.chained && !entry.head {
            entry.state = State::Waiting;
        } else if let Some(at) = at.filter(|_| entry.end == End::Open) {
            entry.state = State::Sleeping;
            self.sleeping.push(Reverse((at, index)));
        } else {
            self.proceed(index);
        }
    }

    /// Lets messages proceed whose time has come; returns when the next one's comes.
    pub(super) fn wake_sleepers(&mut self, now: Instant) -> Option<Instant> {
        while let Some(&Reverse((at, index))) = self.sleeping.peek() {
            if at > now {
                return Some(at);
            }
            self.sleeping.pop();
            self.entries[index].since = now;
            self.proceed(index);
        }
        None
    }

    pub(super) fn sleeps(&self) -> bool {
        !self.sleeping.is_empty()
    }

    /// Takes a message out of hand; the next one of its key proceeds.
    pub(super) fn release(&mut self, index: u32) -> Option<Item<T, K>> {
        let entry = &mut self.entries[index];
        let item = entry.item.take();
        let (chained, next, tail) = (entry.chained, entry.next, entry.tail);
        entry.state = State::Free;
        if let (true, Some(keys)) = (chained, &mut self.keys) {
            // IMPORTANT: The index compares keys only of entries that are in it, and this one leaves it here.
            keys.replace(index, next, &mut self.entries);
            if next != NONE {
                let successor = &mut self.entries[next];
                (successor.head, successor.tail) = (true, tail);
                if successor.state == State::Waiting {
                    self.proceed(next);
                }
            }
        }
        self.held -= 1;
        self.free.push(index);
        item
    }

    /// Lets the message that waits for its key to be replayed proceed.
    pub(super) fn unhold(&mut self, held: Option<u32>) {
        if let Some(index) = held {
            self.proceed(index);
        }
    }

    /// Says whether somebody may take up work now.
    pub(super) fn has_work(&self, concurrency: usize) -> bool {
        !self.chores.is_empty() || (!self.ready.is_empty() && self.running < concurrency.max(1))
    }

    /// Wakes one run that found nothing to do before.
    pub(super) fn wake_one(&mut self) {
        if let Some(seat) = self.seats.iter_mut().find(|seat| seat.idle) {
            seat.wake();
        }
    }

    pub(super) fn wake_all(&mut self) {
        self.seats.iter_mut().for_each(Seat::wake);
        if let Some(drawer) = self.drawer.take() {
            drawer.wake();
        }
    }

    /// Takes all messages in hand, in the order in which they were drawn.
    pub(super) fn take_all(&mut self) -> Vec<Item<T, K>> {
        let mut entries = std::mem::take(&mut self.entries.0);
        entries.sort_by_key(|entry| entry.number);
        entries.into_iter().filter_map(|entry| entry.item).collect()
    }

    /// Returns since when the oldest handler has been at work.
    pub(super) fn oldest(&self) -> Option<Instant> {
        let at_work = |entry: &&Entry<T, K>| entry.state == State::AtWork && entry.end == End::Open;
        self.entries.0.iter().filter(at_work).map(|entry| entry.since).min()
    }
}

impl Seat {
    fn wake(&mut self) {
        self.idle = false;
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

impl<T, K> Entry<T, K> {
    fn new(item: Item<T, K>, number: u64, end: End, now: Instant) -> Self {
        Self {
            item: Some(item),
            number,
            state: State::Waiting,
            chained: false,
            head: false,
            link: KeyLink { hash: 0, next: NONE },
            next: NONE,
            tail: NONE,
            since: now,
            first_attempted: None,
            first_failed: None,
            cause: None,
            end,
        }
    }

    pub(super) fn item(&self) -> &Item<T, K> {
        self.item.as_ref().expect("an entry in use holds its message")
    }

    pub(super) fn item_mut(&mut self) -> &mut Item<T, K> {
        self.item.as_mut().expect("an entry in use holds its message")
    }
}

impl<T, K> Entries<T, K> {
    pub(super) fn partition_key(&self, index: u32) -> Option<&str> {
        self[index].item.as_ref()?.message.about().partition_key.as_deref()
    }
}

impl<T, K> std::ops::Index<u32> for Entries<T, K> {
    type Output = Entry<T, K>;

    fn index(&self, index: u32) -> &Entry<T, K> {
        &self.0[index as usize]
    }
}

impl<T, K> std::ops::IndexMut<u32> for Entries<T, K> {
    fn index_mut(&mut self, index: u32) -> &mut Entry<T, K> {
        &mut self.0[index as usize]
    }
}

impl<T, K> Links for Entries<T, K> {
    fn link(&self, entry: u32) -> KeyLink {
        self[entry].link
    }

    fn set_link(&mut self, entry: u32, link: KeyLink) {
        self[entry].link = link;
    }

    fn key(&self, entry: u32) -> &str {
        self.partition_key(entry).unwrap_or_default()
    }
}
