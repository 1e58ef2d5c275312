//! Shared values whose reference count two threads do not contend for.

use std::cell::Cell;
use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// A shared value that each call can hold on to at the price of a counter of its own thread.
///
/// An `Arc` that every call clones and drops costs two threads a cache line that goes to and fro. Here the `Arc` that
/// is cloned is one of several, chosen by the thread; each of them holds the value.
pub(crate) struct Striped<T, L = ()>(Arc<[Arc<Stripe<T, L>>]>);

/// One of the places that count references, with what belongs to it alone.
///
/// Aligned to two cache lines, for processors fetch them in pairs.
#[repr(align(128))]
pub(crate) struct Stripe<T, L = ()> {
    pub(crate) local: L,
    value: Arc<T>,
}

impl<T, L> Striped<T, L> {
    /// Creates one stripe for each of `locals`, of which there must be [`count`].
    pub(crate) fn with(value: T, locals: impl Iterator<Item = L>) -> Self {
        let value = Arc::new(value);
        Self(locals.map(|local| Arc::new(Stripe { local, value: Arc::clone(&value) })).collect())
    }

    /// Creates the same with other locals, of which there must be [`count`]; the value is shared.
    pub(crate) fn with_locals(&self, locals: impl Iterator<Item = L>) -> Self {
        let value = &self.0[0].value;
        Self(locals.map(|local| Arc::new(Stripe { local, value: Arc::clone(value) })).collect())
    }

    /// Returns the stripe of this thread.
    #[inline]
    pub(crate) fn local(&self) -> &Arc<Stripe<T, L>> {
        // The number of stripes is a power of two.
        &self.0[thread_number() & (self.0.len() - 1)]
    }

    /// Returns the stripe `index`.
    #[cfg(test)]
    pub(crate) fn stripe(&self, index: usize) -> &Arc<Stripe<T, L>> {
        &self.0[index]
    }

    /// Returns what belongs to each stripe alone.
    pub(crate) fn locals(&self) -> impl Iterator<Item = &L> {
        self.0.iter().map(|stripe| &stripe.local)
    }

    /// Returns how many clones of stripes there are.
    pub(crate) fn held(&self) -> usize {
        self.0.iter().map(|stripe| Arc::strong_count(stripe) - 1).sum()
    }
}

impl<T, L> Clone for Striped<T, L> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T, L> Deref for Striped<T, L> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0[0].value
    }
}

impl<T: fmt::Debug, L> fmt::Debug for Striped<T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T, L> Deref for Stripe<T, L> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug, L> fmt::Debug for Stripe<T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Returns how many stripes there are: a power of two, at least twice the threads that can run at once so that few
/// of them share one, and at most 64.
pub(crate) fn count() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| {
        let threads = std::thread::available_parallelism().map_or(1, Into::into);
        (2 * threads).next_power_of_two().min(64)
    })
}

/// Returns the number of this thread, counted in the order in which threads first ask.
#[inline]
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    NUMBER.with(|number| {
        if number.get() == usize::MAX {
            number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_have_stripes_of_their_own_and_the_value_lives_as_long_as_one_is_held() {
        let striped = Striped::with(7, std::iter::repeat_n((), count()));
        let here = Arc::clone(striped.local());
        let there =
            std::thread::scope(|scope| scope.spawn(|| Arc::clone(striped.local())).join().expect("no panic"));
        assert!(!Arc::ptr_eq(&here, &there));
        assert_eq!(striped.held(), 2);
        drop(striped);
        assert_eq!((**here, **there), (7, 7));
    }
}
