//! How old the calls are that are under way, without a list of them.
//!
//! Time is cut into parts. Of the last parts it is known how many calls that began in each are still under way; those
//! of earlier parts are counted together. All counts carry their generation, so that nothing needs to be reset.

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
    /// Of all parts before: the generation and how many.
    old: AtomicU64,
}

impl Young {
    /// Records that a call of `generation` began in `part`.
    pub(super) fn begin(&self, generation: u64, part: u64) {
        let (slot, tag) = (self.slot(part), tag(generation, part));
        let mut displaced = 0;
        update(slot, |word| {
            displaced = if word & !COUNT == tag { 0 } else { word };
            Some(if displaced == 0 { (tag | word & COUNT) + 1 } else { tag | 1 })
        });
        // What has been here since the last time round is old by now.
        if displaced & COUNT > 0 && same_generation(displaced, generation) {
            self.add_old(generation, displaced & COUNT);
        }
    }

    /// Records that a call of `generation` ended that had begun in `part`.
    pub(super) fn end(&self, generation: u64, part: u64) {
        let tag = tag(generation, part);
        let ended =
            update(self.slot(part), |word| (word & !COUNT == tag && word & COUNT > 0).then(|| word - 1));
        if !ended {
            update(&self.old, |word| {
                (word & !COUNT == old_tag(generation) && word & COUNT > 0).then(|| word - 1)
            });
        }
    }

    /// Returns how many calls of `generation` are under way that began before `part`.
    pub(super) fn older_than(&self, generation: u64, part: u64) -> u64 {
        let old = self.old.load(Ordering::Relaxed);
        let old = if old & !COUNT == old_tag(generation) { old & COUNT } else { 0 };
        let parts = self.parts.iter().map(|slot| slot.load(Ordering::Relaxed));
        let parts = parts.filter(|&word| same_generation(word, generation) && part_of(word) < part & PART);
        old + parts.map(|word| word & COUNT).sum::<u64>()
    }

    fn slot(&self, part: u64) -> &AtomicU64 {
        &self.parts[part as usize % PARTS]
    }

    fn add_old(&self, generation: u64, count: u64) {
        let tag = old_tag(generation);
        update(&self.old, |word| Some(if word & !COUNT == tag { word + count } else { tag | count }));
    }
}

/// The bits of a part: 32. When they begin anew (after 78 hours where calls are slow from a millisecond on), the calls
/// under way at that moment count as young until their place in the ring is used again.
const PART: u64 = (1 << 32) - 1;
const GENERATION: u64 = (1 << 10) - 1;

fn tag(generation: u64, part: u64) -> u64 {
    ((generation & GENERATION) << 32 | part & PART) << COUNT_BITS
}

fn old_tag(generation: u64) -> u64 {
    // Zero is no generation, so that an untouched word belongs to none.
    generation << COUNT_BITS
}

fn same_generation(word: u64, generation: u64) -> bool {
    word >> (COUNT_BITS + 32) == generation & GENERATION
}

fn part_of(word: u64) -> u64 {
    word >> COUNT_BITS & PART
}

/// Changes a word; says whether `change` wanted to.
fn update(word: &AtomicU64, change: impl FnMut(u64) -> Option<u64>) -> bool {
    word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, change).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn knows_how_many_are_how_old(steps in prop::collection::vec((0..3_u64, 0..4_u8, any::<prop::sample::Index>()), 0..300)) {
            let young = Young::default();
            let (mut generation, mut now) = (1, 0);
            let mut calls: Vec<(u64, u64)> = Vec::new();
            for (passed, step, which) in steps {
                now += passed;
                match step {
                    0 | 1 => {
                        young.begin(generation, now);
                        calls.push((generation, now));
                    }
                    2 if !calls.is_empty() => {
                        let (generation, part) = calls.swap_remove(which.index(calls.len()));
                        young.end(generation, part);
                    }
                    3 if passed == 0 => generation += 1,
                    _ => {}
                }
                // What is asked is never so recent that the ring could not tell.
                for part in now.saturating_sub(20)..=now {
                    let expected = calls.iter().filter(|call| call.0 == generation && call.1 < part).count() as u64;
                    prop_assert_eq!(young.older_than(generation, part), expected, "before {} of {}", part, now);
                }
            }
        }
    }
}
