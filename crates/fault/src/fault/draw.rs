use steadfast_base::units::Percentage;
use steadfast_base::{Rng, Seed};

/// How many calls in a row have the declared share of hits exactly.
const BLOCK: u64 = 100;

/// The randomness of one matching call: which seed, and the how-manieth call it is.
///
/// Each call has its own, so that one seed gives the same verdicts in whatever order calls interleave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    seed: u64,
    call: u64,
}

impl Draw {
    /// Creates the draw of the call numbered `call`, from 0, under `seed`.
    pub fn new(seed: u64, call: u64) -> Self {
        Self { seed, call }
    }

    /// Says whether the call is among the declared share.
    ///
    /// Of each hundred calls in a row exactly the share is hit, give or take a rounded call, in an order drawn anew
    /// for each hundred: the dose is what was declared, and which call is hit cannot be foreseen. The calls of a
    /// block are chosen by selection sampling (Knuth, *The Art of Computer Programming*, volume 2, 3.4.2, algorithm
    /// S), which takes at most a hundred steps.
    pub fn hits(self, share: Percentage) -> bool {
        let (block, index) = (self.call / BLOCK, self.call % BLOCK);
        let up_to = |calls: u64| (calls as f64 * share.ratio() + 1e-6).floor() as u64;
        let mut wanted = up_to((block + 1) * BLOCK) - up_to(block * BLOCK);
        let mut rng = Seed::new(self.seed ^ block.wrapping_mul(0x9e37_79b9_7f4a_7c15)).rng();
        let mut hit = false;
        for at in 0..=index {
            hit = rng.below(BLOCK - at) < wanted;
            wanted -= u64::from(hit);
        }
        hit
    }

    /// Returns the generator for what else is drawn of this call, such as its jitter.
    pub fn rng(self) -> Rng {
        Seed::new(self.seed ^ self.call).derive("timing").rng()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn of_each_hundred_calls_exactly_the_share_is_hit(seed: u64, block in 0_u64..1_000, percent in 0_u64..=100) {
            let share = Percentage::from_ratio(percent as f64 / 100.0);
            let calls = block * BLOCK..(block + 1) * BLOCK;
            let hits = calls.filter(|call| Draw::new(seed, *call).hits(share)).count() as u64;
            prop_assert_eq!(hits, percent);
        }
    }

    #[test]
    fn a_share_below_a_percent_is_met_over_many_calls() {
        let share: Percentage = "0.1%".parse().expect("a share");
        let hits = (0..100_000).filter(|call| Draw::new(7, *call).hits(share)).count();
        assert_eq!(hits, 100);
    }

    #[test]
    fn blocks_and_seeds_differ() {
        let half: Percentage = "50%".parse().expect("a share");
        let pattern = |seed: u64, from: u64| -> Vec<bool> {
            (from..from + BLOCK).map(|call| Draw::new(seed, call).hits(half)).collect()
        };
        assert_ne!(pattern(1, 0), pattern(1, BLOCK));
        assert_ne!(pattern(1, 0), pattern(2, 0));
        assert_eq!(pattern(1, 0), pattern(1, 0));
    }
}
