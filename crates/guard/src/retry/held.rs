//! What a call holds on to while it is under way.

use std::cell::Cell;
use std::ops::Deref;
use std::sync::Arc;

use super::layer::{Happy, Shared};
use crate::stripes::{Stripe, Striped};

type Held = Arc<Stripe<Shared, Happy>>;

thread_local! {
    /// The reference that the last call of this thread gave back, for the next one: it costs neither a count up nor
    /// down. It keeps the settings of one layer alive, which are small, until the thread makes another call or ends.
    static SPARE: Cell<Option<Held>> = const { Cell::new(None) };
}

/// A reference to what all calls of a layer share.
#[derive(Debug)]
pub(crate) struct Hold(Option<Held>);

impl Hold {
    #[inline]
    pub(crate) fn new(shared: &Striped<Shared, Happy>) -> Self {
        let local = shared.local();
        let spare = SPARE.try_with(Cell::take).ok().flatten();
        Self(Some(spare.filter(|spare| Arc::ptr_eq(spare, local)).unwrap_or_else(|| Arc::clone(local))))
    }
}

impl Deref for Hold {
    type Target = Stripe<Shared, Happy>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for Hold {
    #[inline]
    fn drop(&mut self) {
        // A thread that ends has no place for it any more.
        let _ = SPARE.try_with(|spare| spare.replace(self.0.take()));
    }
}

#[cfg(test)]
mod tests {
    use steadfast_base::{Budget, Seed};

    use super::*;
    use crate::retry::{RetryLayer, RetryPolicy};

    fn layer() -> RetryLayer {
        RetryLayer::new(RetryPolicy::default(), Arc::new(Budget::default()), Seed::new(1))
    }

    #[test]
    fn one_reference_is_kept_for_the_next_call_and_no_more() {
        let (first, second) = (layer(), layer());
        let held = |layer: &RetryLayer| layer.shared.held();
        drop((Hold::new(&first.shared), Hold::new(&first.shared)));
        assert_eq!(held(&first), 1);
        let again = Hold::new(&first.shared);
        assert_eq!(held(&first), 1);
        drop(Hold::new(&second.shared));
        assert_eq!((held(&first), held(&second)), (1, 1));
        drop(again);
        assert_eq!((held(&first), held(&second)), (1, 0), "the place is for one");
    }
}
