//! The outcomes of the last calls.

/// A ring of bits, one per call, with the number of failures kept beside it.
#[derive(Debug)]
pub(super) struct Window {
    bits: Box<[u64]>,
    capacity: u32,
    next: u32,
    calls: u32,
    failures: u32,
}

impl Window {
    pub(super) fn new(capacity: u32) -> Self {
        let words = capacity.div_ceil(u64::BITS) as usize;
        Self { bits: vec![0; words].into_boxed_slice(), capacity, next: 0, calls: 0, failures: 0 }
    }

    /// Records one outcome, in the place of the oldest when the window is full.
    pub(super) fn push(&mut self, failed: bool) {
        let word = &mut self.bits[(self.next / u64::BITS) as usize];
        let mask = 1 << (self.next % u64::BITS);
        if self.calls == self.capacity {
            self.failures -= u32::from(*word & mask != 0);
        } else {
            self.calls += 1;
        }
        if failed {
            *word |= mask;
            self.failures += 1;
        } else {
            *word &= !mask;
        }
        self.next = if self.next + 1 == self.capacity { 0 } else { self.next + 1 };
    }

    pub(super) fn calls(&self) -> u32 {
        self.calls
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn counts_the_last_outcomes(capacity in 1..200_u32, outcomes in prop::collection::vec(any::<bool>(), 0..500)) {
            let mut window = Window::new(capacity);
            let mut model = VecDeque::new();
            for failed in outcomes {
                window.push(failed);
                model.push_back(failed);
                if model.len() > capacity as usize {
                    model.pop_front();
                }
                prop_assert_eq!(window.calls() as usize, model.len());
                prop_assert_eq!(window.failures() as usize, model.iter().filter(|failed| **failed).count());
            }
        }
    }
}
