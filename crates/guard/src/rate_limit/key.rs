//! Whose quota a call counts against.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::OnceLock;

/// The key of a quota: a tenant, an address, an operation, or several of them.
///
/// It is a hash of 64 bits, with random keys for each process, so that a limiter keeps 16 bytes for a key of any
/// length and nobody outside can choose two that collide. Two of a million keys share a quota by chance with a
/// probability of 3 × 10⁻⁸.
///
/// # Examples
/// ```
/// use steadfast_guard::rate_limit::Key;
///
/// assert_eq!(Key::of("alice"), Key::of(&String::from("alice")));
/// assert_ne!(Key::of(&("alice", "/orders")), Key::of(&("alice", "/payments")));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(pub(super) u64);

impl Key {
    /// Returns the key of anything that can be hashed.
    pub fn of<T: Hash + ?Sized>(value: &T) -> Self {
        static STATE: OnceLock<RandomState> = OnceLock::new();
        Self(STATE.get_or_init(RandomState::new).hash_one(value))
    }
}
