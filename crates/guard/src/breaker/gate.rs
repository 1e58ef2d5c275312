//! The way past the state machine: while the breaker is closed, calls begin and succeed here, without its lock.
//!
//! Each stripe of threads has a gate. It says in which generation calls may pass, and counts those that have succeeded
//! since the machine last asked. A success alone never changes the state of a closed breaker, so that it is enough to
//! know their number when something else happens. Generation and number are one word: a success of a generation that
//! is over cannot be counted in the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::young::Young;

/// The bits of the number of successes.
const COUNT: u64 = (1 << OPEN_BIT) - 1;
const OPEN_BIT: u32 = 24;
const OPEN: u64 = 1 << OPEN_BIT;
const GENERATION_SHIFT: u32 = OPEN_BIT + 1;
/// So many successes are counted before the machine must fetch them. The rest of the bits is for threads that count at
/// the same moment.
const SUCCESSES_MAX: u64 = 1 << 20;

/// One gate; aligned to two cache lines, for processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Gate {
    /// The generation, whether calls may pass, and the number of successes.
    word: AtomicU64,
    /// How old the calls are that passed here and are under way; used when calls can be slow.
    pub(super) young: Young,
}

impl Gate {
    /// Returns the generation in which a call may pass.
    #[inline]
    pub(super) fn pass(&self) -> Option<u64> {
        let word = self.word.load(Ordering::Acquire);
        (word & OPEN != 0).then_some(word >> GENERATION_SHIFT)
    }

    /// Counts the success of a call of `generation`; false if the machine has to be told instead.
    #[inline]
    pub(super) fn succeed(&self, generation: u64) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let is_counted = word & OPEN != 0 && word >> GENERATION_SHIFT == generation;
            if !is_counted || word & COUNT >= SUCCESSES_MAX {
                return false;
            }
            match self.word.compare_exchange_weak(word, word + 1, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
    }
}

/// The gates of one breaker. Only who holds the machine's lock opens and shuts them.
#[derive(Debug)]
pub(super) struct Gates(Box<[Arc<Gate>]>);

impl Gates {
    /// Creates `count` gates that are shut.
    pub(super) fn new(count: usize) -> Self {
        Self((0..count).map(|_| Arc::default()).collect())
    }

    /// Returns each gate.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Gate>> {
        self.0.iter()
    }

    /// Lets calls of `generation` pass.
    pub(super) fn open(&self, generation: u64) {
        for gate in &self.0 {
            gate.word.store(generation << GENERATION_SHIFT | OPEN, Ordering::Release);
        }
    }

    /// Shuts all gates and returns the number of successes since the machine last asked.
    pub(super) fn shut(&self) -> u64 {
        self.0.iter().map(|gate| gate.word.swap(0, Ordering::AcqRel) & COUNT).sum()
    }

    /// Returns the number of successes since the machine last asked.
    pub(super) fn take_successes(&self) -> u64 {
        self.0.iter().map(|gate| gate.word.fetch_and(!COUNT, Ordering::AcqRel) & COUNT).sum()
    }

    /// Returns how many calls of `generation` are under way that began before the part of time `part`.
    pub(super) fn older_than(&self, generation: u64, part: u64) -> u64 {
        self.0.iter().map(|gate| gate.young.older_than(generation, part)).sum()
    }
}
