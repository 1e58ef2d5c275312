//! Where a value lies: readers take it without a lock. The model checker replaces it.

#[cfg(not(loom))]
pub(super) use arc_swap::{ArcSwap as Slot, Guard};
#[cfg(not(loom))]
pub(super) use parking_lot::Mutex;
#[cfg(not(loom))]
pub(super) use std::sync::atomic::{AtomicUsize, Ordering};
#[cfg(not(loom))]
pub(super) use tokio::sync::Notify;

#[cfg(loom)]
pub(super) use loom::sync::atomic::{AtomicUsize, Ordering};

#[cfg(loom)]
pub(super) use model::{Guard, Mutex, Notify, Slot};

#[cfg(loom)]
mod model {
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

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

    /// What `tokio::sync::Notify` does for those who wait for `notify_waiters`: how often it was called, and who waits.
    #[derive(Debug, Default)]
    pub(in crate::cell) struct Notify(Mutex<(u64, Vec<Waker>)>);

    impl Notify {
        pub(in crate::cell) fn new() -> Self {
            Self(Mutex::new((0, Vec::new())))
        }

        pub(in crate::cell) fn notified(&self) -> Notified<'_> {
            Notified { notify: self, calls: self.0.lock().0 }
        }

        pub(in crate::cell) fn notify_waiters(&self) {
            let mut state = self.0.lock();
            state.0 += 1;
            let waiters = std::mem::take(&mut state.1);
            drop(state);
            waiters.into_iter().for_each(Waker::wake);
        }
    }

    #[derive(Debug)]
    pub(in crate::cell) struct Notified<'a> {
        notify: &'a Notify,
        calls: u64,
    }

    impl Future for Notified<'_> {
        type Output = ();

        fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            let mut state = self.notify.0.lock();
            if state.0 != self.calls {
                return Poll::Ready(());
            }
            state.1.push(context.waker().clone());
            Poll::Pending
        }
    }
}
