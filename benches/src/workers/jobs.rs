//! The jobs: how large they are and what they do.

use steadfast_base::Seed;

use super::NEEDED_MIB;

/// Kinds of jobs: a name, the least and the most mebibytes.
pub(super) const KINDS: [(&str, u64, u64); 3] = [("small", 8, 16), ("medium", 24, 40), ("large", 48, 64)];

/// One job.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work {
    pub(super) name: &'static str,
    pub(super) bytes: usize,
}

/// Draws jobs until they need all of it.
pub(super) fn draw() -> Vec<Work> {
    let mut rng = Seed::new(7).stream("jobs");
    let (mut jobs, mut left) = (Vec::new(), NEEDED_MIB);
    while left > 0 {
        let (name, least, most) = KINDS[rng.below(KINDS.len() as u64) as usize];
        let mebibytes = (least + rng.below(most - least + 1)).min(left);
        left -= mebibytes;
        jobs.push(Work { name, bytes: (mebibytes as usize) << 20 });
    }
    jobs
}

impl Work {
    /// Touches all of its memory and computes over it.
    pub(super) fn run(self) -> u64 {
        let mut bytes = vec![0_u8; self.bytes];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = at as u8;
        }
        (0..8_u64)
            .map(|turn| bytes.iter().fold(turn, |sum, byte| sum.rotate_left(5) ^ u64::from(*byte)))
            .sum()
    }
}
