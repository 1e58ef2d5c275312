//! The outcomes of the last calls.

use super::Window;

/// Nanoseconds since the breaker was made.
pub(super) type Nanos = u64;

/// How many calls there were, and how many of them failed or were slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    pub(super) calls: u64,
    pub(super) failures: u64,
    pub(super) slow: u64,
}

/// The outcomes that a breaker looks back on.
#[derive(Debug)]
pub(super) enum Outcomes {
    Calls(Ring),
    Time(Slices),
}

impl Outcomes {
    /// Creates an empty window that is first used at `now`.
    pub(super) fn new(window: Window, now: Nanos) -> Self {
        match window {
            Window::Calls(capacity) => Self::Calls(Ring::new(capacity)),
            Window::Time(time) => {
                let width = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX) / Window::SLICES as u64;
                Self::Time(Slices::new(width, now))
            }
        }
    }

    /// Returns a window of another size with the last outcomes of this one, or an empty one if it is of another kind or
    /// of another time.
    pub(super) fn resized(&self, window: Window, now: Nanos) -> Self {
        let mut resized = Self::new(window, now);
        if let (Self::Calls(old), Self::Calls(_)) = (self, &mut resized) {
            for (failed, slow) in old.outcomes() {
                resized.add(failed, slow);
            }
        }
        resized
    }

    /// Moves on to `now`.
    pub(super) fn advance(&mut self, now: Nanos) {
        match self {
            Self::Calls(_) => {}
            Self::Time(slices) => slices.advance(now),
        }
    }

    /// Adds successes that were not slow, in the slice that is under way.
    pub(super) fn add_successes(&mut self, count: u64) {
        match self {
            Self::Calls(ring) => ring.add_successes(count),
            Self::Time(slices) => slices.current().calls += count,
        }
    }

    /// Adds one outcome.
    pub(super) fn add(&mut self, failed: bool, slow: bool) {
        match self {
            Self::Calls(ring) => ring.add(failed, slow),
            Self::Time(slices) => {
                let tally = slices.current();
                tally.calls += 1;
                tally.failures += u64::from(failed);
                tally.slow += u64::from(slow);
            }
        }
    }

    pub(super) fn tally(&self) -> Tally {
        match self {
            Self::Calls(ring) => ring.tally,
            Self::Time(slices) => slices.tally(),
        }
    }

    /// Returns when the slice that is under way ends; never if there are none.
    pub(super) fn slice_end(&self) -> Nanos {
        match self {
            Self::Calls(_) => Nanos::MAX,
            Self::Time(slices) => (slices.number + 1).saturating_mul(slices.width),
        }
    }
}

/// A ring of two bits per call, with the sums kept beside it. Bits of calls that have not been are zero.
#[derive(Debug)]
pub(super) struct Ring {
    failed: Box<[u64]>,
    slow: Box<[u64]>,
    capacity: u32,
    next: u32,
    tally: Tally,
}

impl Ring {
    fn new(capacity: u32) -> Self {
        let words = || vec![0; capacity.div_ceil(u64::BITS) as usize].into_boxed_slice();
        Self { failed: words(), slow: words(), capacity, next: 0, tally: Tally::default() }
    }

    /// Returns the outcomes, the oldest first.
    fn outcomes(&self) -> impl Iterator<Item = (bool, bool)> {
        let calls = self.tally.calls as u32;
        let first = if calls < self.capacity { 0 } else { self.next };
        (0..calls).map(move |call| {
            let at = (first + call) % self.capacity;
            let (word, mask) = ((at / u64::BITS) as usize, 1 << (at % u64::BITS));
            (self.failed[word] & mask != 0, self.slow[word] & mask != 0)
        })
    }

    /// Adds successes, whole words at a time.
    fn add_successes(&mut self, count: u64) {
        // More than there is place for overwrite each other.
        let mut left = count.min(u64::from(self.capacity)) as u32;
        self.tally.calls = self.tally.calls.saturating_add(count).min(u64::from(self.capacity));
        while left > 0 {
            let bit = self.next % u64::BITS;
            let length = left.min(u64::BITS - bit).min(self.capacity - self.next);
            self.clear(length);
            left -= length;
        }
    }

    fn add(&mut self, failed: bool, slow: bool) {
        let (word, mask) = ((self.next / u64::BITS) as usize, 1 << (self.next % u64::BITS));
        self.tally.calls = (self.tally.calls + 1).min(u64::from(self.capacity));
        self.clear(1);
        if failed {
            self.failed[word] |= mask;
            self.tally.failures += 1;
        }
        if slow {
            self.slow[word] |= mask;
            self.tally.slow += 1;
        }
    }

    /// Makes the next `length` calls successes and goes past them; they lie in one word.
    fn clear(&mut self, length: u32) {
        let (word, bit) = ((self.next / u64::BITS) as usize, self.next % u64::BITS);
        let mask = (u64::MAX >> (u64::BITS - length)) << bit;
        self.tally.failures -= u64::from((self.failed[word] & mask).count_ones());
        self.tally.slow -= u64::from((self.slow[word] & mask).count_ones());
        self.failed[word] &= !mask;
        self.slow[word] &= !mask;
        self.next = if self.next + length == self.capacity { 0 } else { self.next + length };
    }
}

/// A ring of sums, one per slice of time.
#[derive(Debug)]
pub(super) struct Slices {
    slices: [Tally; Window::SLICES],
    width: Nanos,
    /// The number of the slice that is under way.
    number: u64,
}

impl Slices {
    fn new(width: Nanos, now: Nanos) -> Self {
        Self { slices: Default::default(), width, number: now / width }
    }

    fn advance(&mut self, now: Nanos) {
        let number = now / self.width;
        // Threads read the clock before they take the lock, so that `now` may be a little behind.
        let passed = number.saturating_sub(self.number).min(Window::SLICES as u64);
        for step in 1..=passed {
            self.slices[((number - passed + step) % Window::SLICES as u64) as usize] = Tally::default();
        }
        self.number = self.number.max(number);
    }

    fn current(&mut self) -> &mut Tally {
        &mut self.slices[(self.number % Window::SLICES as u64) as usize]
    }

    fn tally(&self) -> Tally {
        self.slices.iter().fold(Tally::default(), |sum, slice| Tally {
            calls: sum.calls + slice.calls,
            failures: sum.failures + slice.failures,
            slow: sum.slow + slice.slow,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn tally<'a>(outcomes: impl Iterator<Item = &'a (bool, bool)>) -> Tally {
        outcomes.fold(Tally::default(), |sum, (failed, slow)| Tally {
            calls: sum.calls + 1,
            failures: sum.failures + u64::from(*failed),
            slow: sum.slow + u64::from(*slow),
        })
    }

    proptest! {
        #[test]
        fn counts_the_last_calls(
            capacity in 1..200_u32,
            steps in prop::collection::vec((0..150_u64, any::<bool>(), any::<bool>()), 0..200),
        ) {
            let mut window = Outcomes::new(Window::Calls(capacity), 0);
            let mut model = VecDeque::new();
            for (successes, failed, slow) in steps {
                window.add_successes(successes);
                model.extend((0..successes).map(|_| (false, false)));
                window.add(failed, slow);
                model.push_back((failed, slow));
                while model.len() > capacity as usize {
                    model.pop_front();
                }
                prop_assert_eq!(window.tally(), tally(model.iter()));
            }
        }

        #[test]
        fn keeps_the_last_calls_when_it_is_resized(
            capacities in (1..100_u32, 1..100_u32),
            outcomes in prop::collection::vec((any::<bool>(), any::<bool>()), 0..200),
        ) {
            let mut window = Outcomes::new(Window::Calls(capacities.0), 0);
            for (failed, slow) in &outcomes {
                window.add(*failed, *slow);
            }
            let resized = window.resized(Window::Calls(capacities.1), 0);
            let kept = outcomes.len().min(capacities.0 as usize).min(capacities.1 as usize);
            prop_assert_eq!(resized.tally(), tally(outcomes[outcomes.len() - kept..].iter()));
            prop_assert_eq!(window.resized(Window::Time(Duration::from_secs(1)), 0).tally(), Tally::default());
        }

        #[test]
        fn counts_the_calls_of_the_last_time(
            width in 1..50_u64,
            steps in prop::collection::vec((0..200_u64, 0..5_u64, any::<bool>(), any::<bool>()), 0..200),
        ) {
            let slices = Window::SLICES as u64;
            let mut window = Outcomes::new(Window::Time(Duration::from_nanos(width * slices)), 0);
            let mut model = Vec::new();
            let mut now = 0;
            for (passed, successes, failed, slow) in steps {
                now += passed;
                window.advance(now);
                window.add_successes(successes);
                window.add(failed, slow);
                model.extend((0..successes).map(|_| (now, (false, false))));
                model.push((now, (failed, slow)));
                let recent = model.iter().filter(|(at, _)| at / width + slices > now / width);
                prop_assert_eq!(window.tally(), tally(recent.map(|(_, outcome)| outcome)));
                prop_assert!(now < window.slice_end() && window.slice_end() <= now + width);
            }
        }
    }
}
