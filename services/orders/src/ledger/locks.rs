use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

/// One lock per key, made when first asked for and gone with its last user. Waiters are served in their order.
///
/// # Examples
/// ```
/// use orders::ledger::Locks;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), orders::ledger::Crowded> {
/// let locks = Locks::new(2);
/// let held = locks.lock("order-1").await?;
/// assert_eq!(locks.len(), 1);
/// drop(held);
/// assert_eq!(locks.len(), 0);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Locks<K: Eq + Hash + Clone> {
    slots: Arc<Slots<K>>,
    users_max: usize,
}

type Slots<K> = Mutex<HashMap<K, Slot>>;

#[derive(Debug, Default)]
struct Slot {
    mutex: Arc<tokio::sync::Mutex<()>>,
    users: usize,
}

/// As many as may wait for one key are waiting already: come back later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests for one key")]
pub struct Crowded;

impl<K: Eq + Hash + Clone> Locks<K> {
    /// Makes locks that let at most `users_max` users hold or wait for one key.
    pub fn new(users_max: usize) -> Self {
        Self { slots: Arc::default(), users_max }
    }

    /// Returns how many keys are locked or waited for.
    pub fn len(&self) -> usize {
        self.slots.lock().len()
    }

    /// Says whether no key is locked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits for the lock of `key`.
    ///
    /// # Errors
    /// [`Crowded`], at once.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in the queue.
    pub async fn lock(&self, key: K) -> Result<Held<K>, Crowded> {
        let (mutex, ticket) = {
            let mut slots = self.slots.lock();
            let slot = slots.entry(key.clone()).or_default();
            if slot.users >= self.users_max {
                return Err(Crowded);
            }
            slot.users += 1;
            (Arc::clone(&slot.mutex), Ticket { slots: Arc::clone(&self.slots), key })
        };
        Ok(Held { _guard: mutex.lock_owned().await, _ticket: ticket })
    }
}

/// Holds the lock of a key until dropped.
#[derive(Debug)]
pub struct Held<K: Eq + Hash + Clone> {
    // Declared first, for the lock must be free before its slot may go.
    _guard: OwnedMutexGuard<()>,
    _ticket: Ticket<K>,
}

/// Counts one user of a slot; the last one takes the slot away.
#[derive(Debug)]
struct Ticket<K: Eq + Hash + Clone> {
    slots: Arc<Slots<K>>,
    key: K,
}

impl<K: Eq + Hash + Clone> Drop for Ticket<K> {
    fn drop(&mut self) {
        let mut slots = self.slots.lock();
        if let Some(slot) = slots.get_mut(&self.key) {
            slot.users -= 1;
            if slot.users == 0 {
                slots.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_at_a_time_and_bounded() {
        let locks = Locks::new(2);
        let first = locks.lock(1).now_or_never().expect("free").expect("room");
        let mut second = Box::pin(locks.lock(1));
        assert!(second.as_mut().now_or_never().is_none(), "it must wait");
        assert_eq!(locks.lock(1).now_or_never().expect("at once").err(), Some(Crowded));
        assert!(locks.lock(2).now_or_never().is_some(), "another key is free");
        drop(first);
        drop(second.await.expect("its turn"));
        assert!(locks.is_empty());
    }

    #[tokio::test]
    async fn giving_up_leaves_nothing_behind() {
        let locks = Locks::new(8);
        let first = locks.lock(1).await.expect("room");
        let mut second = Box::pin(locks.lock(1));
        assert!(second.as_mut().now_or_never().is_none());
        drop(second);
        drop(first);
        assert!(locks.is_empty());
    }
}
