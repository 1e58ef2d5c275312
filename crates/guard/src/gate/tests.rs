//! The room against a model of it, over random steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Wake};
use std::time::Duration;

use proptest::prelude::*;
use steadfast_base::Priority;
use tokio::time::Instant;

use super::queue::Stage;
use super::room::{Entered, Room};
use super::{Entry, Gate, Refusal, Rule, Waiter};

const MS: Duration = Duration::from_millis(1);

#[derive(Debug, Clone)]
enum Step {
    Enter(usize),
    Leave,
    /// One that waits, or was decided on and has not heard of it, goes away.
    Abandon(prop::sample::Index),
    /// One that was decided on hears of it.
    Hear(prop::sample::Index),
    Limit(u32),
    Advance(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..4_usize).prop_map(Step::Enter),
        4 => Just(Step::Leave),
        1 => any::<prop::sample::Index>().prop_map(Step::Abandon),
        2 => any::<prop::sample::Index>().prop_map(Step::Hear),
        1 => (1..6_u32).prop_map(Step::Limit),
        2 => (0..40_u64).prop_map(Step::Advance),
    ]
}

/// A call that came and found no room.
#[derive(Debug, Clone, PartialEq)]
struct Caller {
    slot: usize,
    class: usize,
    since: Instant,
}

/// What a room should do, written for reading: one list in the order of coming.
#[derive(Debug)]
struct Model {
    rule: Rule,
    limit: u32,
    in_flight: u32,
    waiting: Vec<Caller>,
    decided: Vec<(Caller, Result<(), Refusal>)>,
    busy_since: [Option<Instant>; 4],
    overloaded_until: [Option<Instant>; 4],
}

impl Model {
    fn overloaded(&self, class: usize, now: Instant) -> bool {
        self.busy_since[class].is_some_and(|since| now - since >= self.rule.overload_after)
            || self.overloaded_until[class].is_some_and(|until| now < until)
    }

    /// Turning away under overload makes it last.
    fn turned_away(&mut self, class: usize, now: Instant) {
        if self.overloaded(class, now) {
            self.overloaded_until[class] = Some(now + self.rule.overload_after);
        }
    }

    fn decide(&mut self, at: usize, decided: Result<(), Refusal>) {
        let caller = self.waiting.remove(at);
        self.decided.push((caller, decided));
    }

    fn drop_stale(&mut self, now: Instant) {
        for class in 0..4 {
            let strict = self.overloaded(class, now);
            let allowed = if strict { self.rule.wait_max_overload } else { self.rule.wait_max };
            let is_stale = |caller: &Caller| caller.class == class && now - caller.since > allowed;
            while let Some(at) = self.waiting.iter().position(is_stale) {
                self.turned_away(class, now);
                self.decide(at, Err(Refusal::Waited));
            }
        }
        self.rest();
    }

    fn fill(&mut self, now: Instant) {
        if self.waiting.is_empty() || self.in_flight >= self.limit {
            return;
        }
        self.drop_stale(now);
        while self.in_flight < self.limit
            && let Some(best) = self.waiting.iter().map(|caller| caller.class).max()
        {
            let of_best = |caller: &Caller| caller.class == best;
            let next = if self.overloaded(best, now) {
                self.waiting.iter().rposition(of_best)
            } else {
                self.waiting.iter().position(of_best)
            };
            self.in_flight += 1;
            self.decide(next.expect("there is one"), Ok(()));
        }
        self.rest();
    }

    /// Returns whether the caller was let in at once, or `None` if it has to wait, which the caller of this records.
    fn enter(&mut self, class: usize, now: Instant) -> Option<Result<(), Refusal>> {
        if self.in_flight < self.limit && self.waiting.is_empty() {
            self.in_flight += 1;
            return Some(Ok(()));
        }
        self.drop_stale(now);
        if self.waiting.len() >= self.rule.queue_max {
            let least = self.waiting.iter().map(|caller| caller.class).min();
            let victim =
                least.filter(|&least| least < class || (least == class && self.overloaded(class, now)));
            let Some(least) = victim else {
                self.turned_away(class, now);
                return Some(Err(Refusal::Full));
            };
            self.turned_away(least, now);
            let of_least = |caller: &Caller| caller.class == least;
            let at = if self.overloaded(least, now) {
                self.waiting.iter().position(of_least)
            } else {
                self.waiting.iter().rposition(of_least)
            };
            self.decide(at.expect("there is one"), Err(Refusal::Full));
        }
        self.busy_since[class].get_or_insert(now);
        None
    }

    fn rest(&mut self) {
        for class in 0..4 {
            if !self.waiting.iter().any(|caller| caller.class == class) {
                self.busy_since[class] = None;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn does_what_the_model_does(
        steps in prop::collection::vec(step(), 0..200),
        limit in 1..4_u32,
        queue_max in 0..6_usize,
        overload_after in 0..60_u64,
    ) {
        let rule = Rule {
            queue_max,
            wait_max: 50 * MS,
            overload_after: overload_after as u32 * MS,
            wait_max_overload: 10 * MS,
        };
        let (mut room, mut now) = (Room::new(limit, rule), Instant::now());
        let mut model = Model { rule, limit, in_flight: 0, waiting: vec![], decided: vec![], busy_since: [None; 4], overloaded_until: [None; 4] };
        // Calls that were let in and know it; the room counts those too that have not heard of it.
        let mut inside = 0;
        let mut wakers = Vec::new();
        for step in steps {
            match step {
                Step::Enter(class) => {
                    let entered = room.enter(Priority::ALL[class], || now, &mut wakers);
                    match (entered, model.enter(class, now)) {
                        (Entered::Admitted, Some(Ok(()))) => inside += 1,
                        (Entered::Refused(refusal), Some(Err(expected))) => prop_assert_eq!(refusal, expected),
                        (Entered::Queued(slot), None) => {
                            model.waiting.push(Caller { slot, class, since: now });
                        }
                        (entered, expected) => prop_assert!(false, "{entered:?}, expected {expected:?}"),
                    }
                }
                Step::Leave if inside > 0 => {
                    inside -= 1;
                    room.leave(|| now, &mut wakers);
                    model.in_flight -= 1;
                    model.fill(now);
                }
                Step::Leave => {}
                Step::Abandon(which) => {
                    let all = model.waiting.len() + model.decided.len();
                    if all == 0 {
                        continue;
                    }
                    let which = which.index(all);
                    if which < model.waiting.len() {
                        let caller = model.waiting.remove(which);
                        // It has waited too long, which turns it away as well.
                        model.turned_away(caller.class, now);
                        drop(room.abandon(caller.slot, true, || now, &mut wakers));
                        model.rest();
                    } else {
                        let (caller, decided) = model.decided.remove(which - model.waiting.len());
                        drop(room.abandon(caller.slot, false, || now, &mut wakers));
                        if decided.is_ok() {
                            model.in_flight -= 1;
                            model.fill(now);
                        }
                    }
                }
                Step::Hear(which) if !model.decided.is_empty() => {
                    let (caller, decided) = model.decided.remove(which.index(model.decided.len()));
                    drop(room.queue.free(caller.slot));
                    inside += u32::from(decided.is_ok());
                }
                Step::Hear(_) => {}
                Step::Limit(limit) => {
                    room.set_limit(limit, || now, &mut wakers);
                    model.limit = limit;
                    model.fill(now);
                }
                Step::Advance(ms) => now += Duration::from_millis(ms),
            }
            let figures = room.figures();
            prop_assert_eq!((figures.in_flight, figures.queued), (model.in_flight, model.waiting.len()));
            for caller in &model.waiting {
                prop_assert_eq!(room.queue.stage(caller.slot), Stage::Waiting);
            }
            for (caller, decided) in &model.decided {
                prop_assert_eq!(room.queue.stage(caller.slot), Stage::Decided(*decided));
            }
            // What must hold whatever the model says.
            prop_assert!(figures.queued <= queue_max, "the queue is bounded");
            prop_assert!(figures.queued == 0 || figures.in_flight >= figures.limit, "nobody waits beside free room");
        }

        // Once everybody has gone, nothing is left.
        for caller in model.waiting.drain(..) {
            drop(room.abandon(caller.slot, false, || now, &mut wakers));
        }
        for (caller, _) in model.decided.drain(..) {
            drop(room.abandon(caller.slot, false, || now, &mut wakers));
        }
        for _ in 0..inside {
            room.leave(|| now, &mut wakers);
        }
        prop_assert_eq!((room.figures().in_flight, room.figures().queued), (0, 0));
    }
}

const RULE: Rule =
    Rule { queue_max: 8, wait_max: Duration::from_secs(1), overload_after: MS, wait_max_overload: MS };

/// A waker that must find the gate unlocked when it is woken or dropped.
struct Watch {
    gate: Arc<Gate>,
    seen: Arc<AtomicU32>,
}

impl Watch {
    fn look(&self) {
        assert!(self.gate.room.try_lock().is_some(), "a waker is at work under the lock");
        self.seen.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wake for Watch {
    fn wake(self: Arc<Self>) {
        self.look();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.look();
    }
}

fn queued(gate: &Arc<Gate>) -> Waiter {
    match gate.enter(Priority::default()) {
        Entry::Queued(waiter) => waiter,
        Entry::Admitted(_) | Entry::Refused(_) => panic!("there is no room, and a place in the queue"),
    }
}

#[test]
fn wakers_are_woken_and_dropped_when_the_gate_is_unlocked() {
    let gate = Gate::new(1, RULE);
    let seen = Arc::<AtomicU32>::default();
    let poll = |waiter: &mut Waiter| {
        let waker = Arc::new(Watch { gate: Arc::clone(&gate), seen: Arc::clone(&seen) }).into();
        waiter.poll(&mut Context::from_waker(&waker)).is_ready()
    };
    let Entry::Admitted(permit) = gate.enter(Priority::default()) else { panic!("there is room") };
    let (mut first, mut second, mut third) = (queued(&gate), queued(&gate), queued(&gate));
    assert!(!poll(&mut first) && !poll(&mut second) && !poll(&mut third));
    assert!(!poll(&mut second));
    assert_eq!(seen.load(Ordering::Relaxed), 1, "another waker has replaced the first");
    drop(second);
    assert_eq!(seen.load(Ordering::Relaxed), 2, "dropped with its call");
    third.give_up();
    assert_eq!(seen.load(Ordering::Relaxed), 3);
    drop(permit);
    assert_eq!(seen.load(Ordering::Relaxed), 5, "woken, and dropped");
    assert!(poll(&mut first));
}
