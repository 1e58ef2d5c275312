use std::marker::PhantomData;
use std::mem::size_of;
use std::sync::Arc;

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, Weighter};

use super::entry::Entry;

/// For how many entries the cache makes room at once.
const EXPECTED_MAX: usize = 1 << 16;

/// The aggregates in memory, by name.
pub(super) type Cached<A> = Cache<Arc<str>, Weighed<A>, Weight, DefaultHashBuilder, Forget<A>>;

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
        let state = entry.state.read().any().map_or(0, |state| weigh(&state.aggregate) + state.overhead());
        // The name stands twice: in the entry, and as the key.
        let names = 2 * entry.name.len() + entry.stream.len();
        let bytes = (size_of::<Entry<A>>() + size_of::<Self>() + names + state) as u64;
        Self { entry, bytes }
    }
}

impl<A> Clone for Weighed<A> {
    fn clone(&self) -> Self {
        Self { entry: Arc::clone(&self.entry), bytes: self.bytes }
    }
}

impl<A> Weighter<Arc<str>, Weighed<A>> for Weight {
    fn weight(&self, _: &Arc<str>, weighed: &Weighed<A>) -> u64 {
        weighed.bytes
    }
}

impl<A> Clone for Forget<A> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<A> Lifecycle<Arc<str>, Weighed<A>> for Forget<A> {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _: Arc<str>, _: Weighed<A>) {}
}

/// Makes a cache of entries that take at most `bytes_max` together.
pub(super) fn new<A>(bytes_max: u64) -> Cached<A> {
    let least = (size_of::<Entry<A>>() + size_of::<A>()) as u64;
    let expected = usize::try_from(bytes_max / least.max(1)).unwrap_or(usize::MAX).clamp(1, EXPECTED_MAX);
    Cache::with(expected, bytes_max, Weight, DefaultHashBuilder::default(), Forget(PhantomData))
}
