//! Where a value lies: readers take it without a lock. The model checker replaces it.

#[cfg(not(loom))]
pub(super) use arc_swap::{ArcSwap as Slot, Guard};
#[cfg(not(loom))]
pub(super) use parking_lot::{Mutex, MutexGuard};
#[cfg(not(loom))]
pub(super) use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

#[cfg(loom)]
pub(super) use loom::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

#[cfg(loom)]
pub(super) use loom::sync::MutexGuard;
#[cfg(loom)]
pub(super) use model::{Guard, Mutex, Slot};

#[cfg(loom)]
mod model {
    use std::sync::Arc;

    /// The mutex of `loom` with the face of `parking_lot`.
    #[derive(Debug, Default)]
    pub(in crate::cell) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(in crate::cell) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(in crate::cell) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().expect("no thread of the model panics")
        }
    }

    /// What `arc-swap` does, each call one step.
    #[derive(Debug)]
    pub(in crate::cell) struct Slot<T>(loom::sync::RwLock<Arc<T>>);

    impl<T> Slot<T> {
        pub(in crate::cell) fn new(value: Arc<T>) -> Self {
            Self(loom::sync::RwLock::new(value))
        }

        pub(in crate::cell) fn load(&self) -> Guard<Arc<T>> {
            Guard(Arc::clone(&self.0.read().expect("no thread of the model panics")))
        }

        pub(in crate::cell) fn swap(&self, value: Arc<T>) -> Arc<T> {
            std::mem::replace(&mut *self.0.write().expect("no thread of the model panics"), value)
        }
    }

    #[derive(Debug)]
    pub(in crate::cell) struct Guard<T>(T);

    impl<T> Guard<T> {
        pub(in crate::cell) fn from_inner(inner: T) -> Self {
            Self(inner)
        }

        pub(in crate::cell) fn into_inner(guard: Self) -> T {
            guard.0
        }
    }

    impl<T> std::ops::Deref for Guard<T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.0
        }
    }
}
