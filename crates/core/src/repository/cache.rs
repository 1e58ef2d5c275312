use std::marker::PhantomData;
use std::mem::size_of;
use std::sync::Arc;

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, Weighter};

use super::entry::{Entry, Name};
use super::metrics::Held;

/// For how many entries the cache makes room at once.
const EXPECTED_MAX: usize = 1 << 16;
/// What the cache takes for each entry beside key and value: its links and flags, and its place in the hash table.
const SLOT_BYTES: usize = 32;

/// The aggregates in memory, by name.
pub(super) type Cached<A> = Cache<Name, Weighed<A>, Weight, DefaultHashBuilder, Forget<A>>;

/// An entry, and how many bytes it took when it was weighed: the cache must get the same answer each time it asks.
pub(super) struct Weighed<A> {
    pub(super) entry: Arc<Entry<A>>,
    bytes: u64,
}

/// Reads what an entry weighed.
#[derive(Clone)]
pub(super) struct Weight;

/// Nothing is to be done with what leaves the cache: whoever is at work on it has it in hand.
pub(super) struct Forget<A>(PhantomData<fn(A)>);

impl<A> Weighed<A> {
    /// Weighs an entry.
    pub(super) fn new(entry: Arc<Entry<A>>, weigh: fn(&A) -> usize) -> Self {
        let counters = 2 * size_of::<usize>();
        let slot = size_of::<Name>() + size_of::<Self>() + SLOT_BYTES;
        let own = allocated(counters + size_of::<Entry<A>>()) + allocated(counters + entry.stream().len());
        let state = entry.state.write().any_mut().map_or(0, |state| {
            // The aggregate itself lies in the entry.
            weigh(&state.aggregate).saturating_sub(size_of::<A>()) + state.weigh_known()
        });
        Self { entry, bytes: (slot + own + state) as u64 }
    }
}

impl<A> Clone for Weighed<A> {
    fn clone(&self) -> Self {
        Self { entry: Arc::clone(&self.entry), bytes: self.bytes }
    }
}

impl<A> Weighter<Name, Weighed<A>> for Weight {
    fn weight(&self, _: &Name, weighed: &Weighed<A>) -> u64 {
        weighed.bytes
    }
}

impl<A> Clone for Forget<A> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<A> Lifecycle<Name, Weighed<A>> for Forget<A> {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _: Name, _: Weighed<A>) {}
}

impl<A: Send + Sync> Held for Cached<A> {
    fn held(&self) -> (u64, u64) {
        (self.len() as u64, self.weight())
    }
}

/// Makes a cache of entries that take at most `bytes_max` together.
pub(super) fn new<A>(bytes_max: u64) -> Cached<A> {
    let least = (size_of::<Entry<A>>() + size_of::<A>()) as u64;
    let expected = usize::try_from(bytes_max / least.max(1)).unwrap_or(usize::MAX).clamp(1, EXPECTED_MAX);
    Cache::with(expected, bytes_max, Weight, DefaultHashBuilder::default(), Forget(PhantomData))
}

/// Returns what an allocation of `bytes` takes in all: the usual allocators give multiples of 16 bytes, at least 32, and
/// keep its length with it.
pub(super) fn allocated(bytes: usize) -> usize {
    match bytes {
        0 => 0,
        _ => (bytes + size_of::<usize>()).next_multiple_of(16).max(32),
    }
}
