//! What the model checker replaces.

#[cfg(not(loom))]
pub(in crate::bus) use parking_lot::Mutex;
#[cfg(not(loom))]
pub(super) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[cfg(loom)]
pub(super) use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The mutex of `loom` with the face of `parking_lot`.
#[cfg(loom)]
#[derive(Debug, Default)]
pub(in crate::bus) struct Mutex<T>(loom::sync::Mutex<T>);

#[cfg(loom)]
impl<T> Mutex<T> {
    pub(in crate::bus) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(in crate::bus) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
        self.0.lock().expect("no thread of the model panics")
    }
}
