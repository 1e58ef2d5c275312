//! Randomness as an input: one seed for a run, one independent stream for each use.

use std::fmt;
use std::str::FromStr;

/// The number from which all randomness of a run is drawn.
///
/// Each user of randomness takes a stream by name, so that adding a user does not change what the others draw.
///
/// # Examples
/// ```
/// use steadfast_base::Seed;
///
/// let seed = Seed::new(7);
/// assert_eq!(seed.stream("load").next_u64(), Seed::new(7).stream("load").next_u64());
/// assert_ne!(seed.stream("load").next_u64(), seed.stream("faults").next_u64());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seed(u64);

impl Seed {
    /// Creates the seed `value`.
    pub fn new(value: u64) -> Self {
        Self(value)
    }

    /// Draws a seed from the operating system, by way of the random keys of the standard hash map.
    pub fn random() -> Self {
        use std::hash::{BuildHasher, Hasher};
        Self(std::collections::hash_map::RandomState::new().build_hasher().finish())
    }

    /// Returns the number, which a report prints so that the run can be repeated.
    pub fn value(self) -> u64 {
        self.0
    }

    /// Returns the generator of the stream called `name`.
    pub fn stream(self, name: &str) -> Rng {
        self.derive(name).rng()
    }

    /// Returns a seed of its own for the part called `name`.
    pub fn derive(self, name: &str) -> Self {
        // FNV-1a, which unlike the standard hasher is the same in every release.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ self.0;
        for byte in name.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Self(split_mix(&mut hash))
    }

    /// Returns the generator that this seed itself starts.
    pub fn rng(self) -> Rng {
        let mut state = self.0;
        Rng { state: std::array::from_fn(|_| split_mix(&mut state)) }
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Seed {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A deterministic generator: xoshiro256++ of Blackman and Vigna (<https://prng.di.unimi.it/>), whose output for
/// a seed never changes between releases. Not for secrets.
#[derive(Debug, Clone)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// Returns the next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Returns a number in `0..bound`, without bias beyond 2⁻⁶⁴ × `bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// Returns a number in `0.0..1.0` with 53 random bits.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Says yes with the probability `share` (0 never, 1 always).
    pub fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// Fills `buffer` with random bytes.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let bytes = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014), which the authors of xoshiro recommend for seeding it.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First outputs of SplitMix64 from state 1234567, as published with the reference implementation.
    #[test]
    fn split_mix_matches_the_reference() {
        let mut state = 1_234_567;
        let drawn: [u64; 3] = std::array::from_fn(|_| split_mix(&mut state));
        assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn a_share_is_met_and_bounds_hold() {
        let mut rng = Seed::new(1).rng();
        let hits = (0..100_000).filter(|_| rng.chance(0.3)).count();
        assert!((29_000..31_000).contains(&hits), "{hits}");
        assert!((0..1000).all(|_| rng.below(7) < 7));
        assert_eq!(rng.below(0), 0);
    }
}
