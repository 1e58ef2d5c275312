use std::sync::Arc;

use steadfast_base::{Clock, SystemClock};

use crate::snapshot::{SnapshotCodec, SnapshotPolicy, Snapshots};
use crate::store::Durability;

/// How a repository works.
///
/// # Examples
/// ```
/// use steadfast_core::repository::Settings;
/// use steadfast_core::store::Durability;
///
/// let settings = Settings::<u32> { durability: Durability::Durable, ..Settings::default() };
/// assert_eq!(settings.conflicts_max, 5);
/// ```
pub struct Settings<A> {
    /// The durability of events before a command is answered.
    pub durability: Durability,
    /// How often a command is decided again when the stream has moved on.
    pub conflicts_max: u32,
    /// How many commands may be at work on or wait for one aggregate; 0 counts as 1.
    pub waiting_max: usize,
    /// How many commands with a key are recognised when they are repeated, for each aggregate: the newest. Older ones
    /// are decided again.
    pub keys_max: usize,
    /// How many bytes the aggregates in the cache may take together, as `weigh` has it.
    pub cache_bytes_max: u64,
    /// How many bytes an aggregate takes; the default is the size of its type, without what it holds elsewhere.
    /// What the repository itself keeps of it is added.
    pub weigh: fn(&A) -> usize,
    /// How and when snapshots are taken, if at all.
    pub snapshots: Option<Snapshotting<A>>,
    /// The wall clock that snapshots are stamped by.
    pub clock: Arc<dyn Clock>,
}

/// How and when snapshots are taken.
pub struct Snapshotting<A> {
    /// How states are written.
    pub codec: Arc<dyn SnapshotCodec<A>>,
    /// Where they are kept.
    pub place: Arc<dyn Snapshots>,
    /// When they are taken.
    pub policy: SnapshotPolicy,
}

impl<A> Default for Settings<A> {
    /// `Durable`, five conflicts, 64 commands for one aggregate, 256 keys, 64 MiB, no snapshots.
    fn default() -> Self {
        Self {
            durability: Durability::Durable,
            conflicts_max: 5,
            waiting_max: 64,
            keys_max: 256,
            cache_bytes_max: 64 << 20,
            weigh: |_| std::mem::size_of::<A>(),
            snapshots: None,
            clock: Arc::new(SystemClock),
        }
    }
}

impl<A> std::fmt::Debug for Settings<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("durability", &self.durability)
            .field("conflicts_max", &self.conflicts_max)
            .field("waiting_max", &self.waiting_max)
            .field("keys_max", &self.keys_max)
            .field("cache_bytes_max", &self.cache_bytes_max)
            .field("snapshots", &self.snapshots.as_ref().map(|snapshots| snapshots.policy))
            .finish_non_exhaustive()
    }
}
