//! The seed of a test.

use steadfast_base::Seed;

/// Returns the seed that the environment variable `STEADFAST_SEED` gives, or a random one, and prints it, so that what
/// failed can be repeated.
///
/// # Examples
/// ```
/// let mut rng = steadfast_core::testing::seed().rng();
/// assert!(rng.below(10) < 10);
/// ```
pub fn seed() -> Seed {
    let given = std::env::var("STEADFAST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(Seed::random);
    eprintln!("STEADFAST_SEED={seed}");
    seed
}
