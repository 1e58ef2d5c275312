//! How old the calls are that are under way, without a list of them.
//!
//! Time is cut into parts. Of the last parts it is known how many calls that began in each are still under way; those
//! of earlier parts are counted together. All counts carry their generation, so that nothing needs to be reset.
//!
//! A part's count is moved to the old ones when its place is taken by a later part, in two steps. A call that ends
//! between them is taken off the old ones all the same, which may be below zero until the second step: so a call counts
//! too little for a moment, but never for longer than it is under way.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many parts are told apart: more than calls need to become slow.
const PARTS: usize = 32;
const COUNT_BITS: u32 = 22;
const COUNT: u64 = (1 << COUNT_BITS) - 1;

/// The calls under way of one stripe.
#[derive(Debug, Default)]
pub(super) struct Young {
    /// Of the last parts: when (generation and part) and how many.
    parts: [AtomicU64; PARTS],
    /// Of all parts before: the generation (32 bits) and how many (32 bits, signed).
    old: AtomicU64,
}

/// Calls that were displaced from their part, to be [added](Young::settle) to the old ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
struct Displaced {
    generation: u64,
    calls: u64,
}

impl Young {
    /// Records that a call of `generation` began in `part`.
    pub(super) fn begin(&self, generation: u64, part: u64) {
        let displaced = self.enter(generation, part);
        if displaced.calls > 0 {
            self.settle(displaced);
        }
    }

    /// Counts the call in its part, and returns which calls are old by now.
    fn enter(&self, generation: u64, part: u64) -> Displaced {
        let (slot, tag) = (self.slot(part), tag(generation, part));
        let mut calls = 0;
        update(slot, |word| {
            let count = word & COUNT;
            if word & !COUNT == tag {
                calls = 0;
                Some(word + 1)
            } else if count > 0 && !is_before(word, tag) {
                // This thread was held up, and the place belongs to a later part or generation by now.
                calls = u64::from(same_generation(word, generation));
                None
            } else {
                // What has been here since the last time round is old by now; other generations are over.
                calls = if same_generation(word, generation) { count } else { 0 };
                Some(tag | 1)
            }
        });
        Displaced { generation, calls }
    }

    /// Counts calls as old.
    fn settle(&self, Displaced { generation, calls }: Displaced) {
        self.add_old(generation, calls as u32);
    }

    /// Records that a call of `generation` ended that had begun in `part`.
    pub(super) fn end(&self, generation: u64, part: u64) {
        let tag = tag(generation, part);
        let ended =
            update(self.slot(part), |word| (word & !COUNT == tag && word & COUNT > 0).then(|| word - 1));
        if !ended {
            self.add_old(generation, -1_i32 as u32);
        }
    }

    /// Returns how many calls of `generation` are under way that began before `part`.
    pub(super) fn older_than(&self, generation: u64, part: u64) -> u64 {
        let old = self.old.load(Ordering::Relaxed);
        let old = if old >> 32 == generation & OLD_GENERATION { i64::from(old as i32) } else { 0 };
        let parts = self.parts.iter().map(|slot| slot.load(Ordering::Relaxed));
        let parts = parts.filter(|&word| same_generation(word, generation) && is_part_before(word, part));
        let young = parts.map(|word| word & COUNT).sum::<u64>();
        u64::try_from(young as i64 + old).unwrap_or(0)
    }

    fn slot(&self, part: u64) -> &AtomicU64 {
        &self.parts[part as usize % PARTS]
    }

    /// Adds to the old calls of a generation, unless it is over.
    fn add_old(&self, generation: u64, calls: u32) {
        let generation = generation & OLD_GENERATION;
        update(&self.old, |word| {
            let later = (word >> 32).wrapping_sub(generation) as i32;
            let count = if later == 0 { word as u32 } else { 0 };
            (later <= 0).then(|| generation << 32 | u64::from(count.wrapping_add(calls)))
        });
    }
}

/// The bits of a part: 32. Two parts that are further apart than half of their range (39 hours where calls are slow
/// from a millisecond on) cannot be told apart: a call that hangs for that long counts as young until its place in the
/// ring is used again.
const PART: u64 = (1 << 32) - 1;
const GENERATION: u64 = (1 << 10) - 1;
const OLD_GENERATION: u64 = (1 << 32) - 1;

fn tag(generation: u64, part: u64) -> u64 {
    ((generation & GENERATION) << 32 | part & PART) << COUNT_BITS
}

fn same_generation(word: u64, generation: u64) -> bool {
    word >> (COUNT_BITS + 32) == generation & GENERATION
}

fn part_of(word: u64) -> u64 {
    word >> COUNT_BITS & PART
}

fn is_part_before(word: u64, part: u64) -> bool {
    (part_of(word) as u32).wrapping_sub(part as u32).cast_signed() < 0
}

/// Says whether the calls of a word began in an earlier part, or in the same one of an earlier generation, than those
/// of a tag in the same place.
fn is_before(word: u64, tag: u64) -> bool {
    let generations = (tag >> (COUNT_BITS + 32)).wrapping_sub(word >> (COUNT_BITS + 32)) & GENERATION;
    is_part_before(word, part_of(tag))
        || part_of(word) == part_of(tag) && (1..=GENERATION / 2).contains(&generations)
}

/// Changes a word; says whether `change` wanted to.
fn update(word: &AtomicU64, change: impl FnMut(u64) -> Option<u64>) -> bool {
    word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, change).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a thread does next.
    #[derive(Debug, Clone)]
    enum Step {
        Begin,
        /// Begins a call, and is held up before it has counted those as old that it displaces.
        BeginHeldUp,
        /// Begins a call for which it has read the clock, and passed the gate, a while ago.
        BeginLate(u64),
        /// Goes on.
        Settle(prop::sample::Index),
        End(prop::sample::Index),
        NextGeneration,
        Pass(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let which = any::<prop::sample::Index>;
        prop_oneof![
            4 => Just(Step::Begin),
            2 => Just(Step::BeginHeldUp),
            1 => (0..80_u64).prop_map(Step::BeginLate),
            2 => which().prop_map(Step::Settle),
            4 => which().prop_map(Step::End),
            1 => Just(Step::NextGeneration),
            4 => (0..3_u64).prop_map(Step::Pass),
            1 => (0..100_u64).prop_map(Step::Pass),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn knows_how_many_are_how_old(
            steps in prop::collection::vec(step(), 0..300),
            start in prop_oneof![Just(0), PART - 50..PART],
        ) {
            let young = Young::default();
            let (mut generation, mut now) = (1, start);
            let mut generations = vec![(start, 1)];
            let mut calls: Vec<(u64, u64)> = Vec::new();
            let mut held_up = Vec::new();
            for step in steps {
                match step {
                    Step::Begin => {
                        young.begin(generation, now);
                        calls.push((generation, now));
                    }
                    Step::BeginHeldUp => {
                        held_up.push(young.enter(generation, now));
                        calls.push((generation, now));
                    }
                    Step::BeginLate(ago) => {
                        let part = now.saturating_sub(ago).max(start);
                        let then = generations.iter().rfind(|(since, _)| *since <= part);
                        let generation = then.expect("it is no earlier than the start").1;
                        young.begin(generation, part);
                        calls.push((generation, part));
                    }
                    Step::Settle(which) if !held_up.is_empty() => {
                        young.settle(held_up.swap_remove(which.index(held_up.len())));
                    }
                    Step::End(which) if !calls.is_empty() => {
                        let (generation, part) = calls.swap_remove(which.index(calls.len()));
                        young.end(generation, part);
                    }
                    Step::NextGeneration => {
                        generation += 1;
                        generations.push((now, generation));
                    }
                    Step::Pass(parts) => now += parts,
                    Step::Settle(_) | Step::End(_) => {}
                }
                // What is asked is never so recent that the ring could not tell.
                for part in now.saturating_sub(20).max(start)..=now {
                    let expected = calls.iter().filter(|call| call.0 == generation && call.1 < part).count() as u64;
                    let got = young.older_than(generation, part);
                    let is_right = if held_up.is_empty() { got == expected } else { got <= expected };
                    prop_assert!(is_right, "{} before {} of {}, expected {}", got, part, now, expected);
                }
            }
            for displaced in held_up.drain(..) {
                young.settle(displaced);
            }
            let of_now = calls.iter().filter(|call| call.0 == generation).count() as u64;
            prop_assert_eq!(young.older_than(generation, now + 1), of_now);
        }
    }

    #[test]
    fn a_call_that_ends_while_its_part_is_displaced_does_not_count_for_ever() {
        let young = Young::default();
        young.begin(1, 5);
        young.begin(1, 5);
        let displaced = young.enter(1, 5 + PARTS as u64);
        young.end(1, 5);
        young.settle(displaced);
        assert_eq!(young.older_than(1, 6), 1);
        young.end(1, 5);
        assert_eq!(young.older_than(1, 6), 0);
    }
}
