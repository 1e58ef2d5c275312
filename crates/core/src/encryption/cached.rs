use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Found, Key, KeyId, Keys, KeysError};

/// Keys that are held in memory for a while, a bounded number of them, so that not every event asks for its key.
///
/// What is forgotten *through this* is dropped from memory at once. What another process forgets or rotates is noticed
/// within [`keys_for`](Self::keys_for) (one minute by default): until then this one may decrypt with keys that are gone,
/// and encrypt with them what nobody will read. Share one `CachedKeys` between all stores of a process.
pub struct CachedKeys {
    keys: Arc<dyn Keys>,
    held: Mutex<Held>,
    keys_for: Duration,
    keys_max: usize,
}

/// Whose key, and which; none is the one to encrypt with.
type Name = (Arc<str>, Option<KeyId>);

#[derive(Default)]
struct Held {
    keys: HashMap<Name, (Found, Instant)>,
    /// All names that are held, and until when, the oldest first; some were replaced or dropped since.
    order: VecDeque<(Name, Instant)>,
    /// How often something was forgotten: what was asked for before that is not held.
    forgotten: u64,
}

impl CachedKeys {
    /// Holds up to 10,000 of `keys`, each for a minute.
    pub fn new(keys: Arc<dyn Keys>) -> Self {
        Self { keys, held: Mutex::default(), keys_for: Duration::from_secs(60), keys_max: 10_000 }
    }

    /// Replaces how long a key is held at most.
    #[must_use]
    pub fn keys_for(mut self, keys_for: Duration) -> Self {
        self.keys_for = keys_for;
        self
    }

    /// Replaces how many keys are held at most; 0 counts as 1.
    #[must_use]
    pub fn keys_max(mut self, keys_max: usize) -> Self {
        self.keys_max = keys_max.max(1);
        self
    }

    fn held(&self, name: &Name) -> Result<Found, u64> {
        let mut held = self.held.lock();
        held.expire(Instant::now());
        let found = held.keys.get(name).map(|(found, _)| found.clone());
        found.ok_or(held.forgotten)
    }

    /// Holds what was found, unless something was forgotten since it was asked for.
    fn hold(&self, name: Name, found: Found, asked: u64) {
        let mut held = self.held.lock();
        if held.forgotten == asked {
            held.insert(name, found, Instant::now() + self.keys_for, self.keys_max);
        }
    }
}

impl Held {
    fn insert(&mut self, name: Name, found: Found, until: Instant, keys_max: usize) {
        while self.order.len() >= keys_max {
            self.pop();
        }
        self.order.push_back((name.clone(), until));
        self.keys.insert(name, (found, until));
    }

    fn expire(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(_, until)| *until <= now) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some((name, until)) = self.order.pop_front()
            && self.keys.get(&name).is_some_and(|(_, held)| *held == until)
        {
            self.keys.remove(&name);
        }
    }

    fn drop_all_of(&mut self, owner: &str) {
        self.keys.retain(|(of, _), _| **of != *owner);
        self.order.retain(|((of, _), _)| **of != *owner);
        self.forgotten += 1;
    }
}

/// Drops the keys of an owner in any case, also when forgetting failed or was given up.
struct Dropping<'a> {
    held: &'a Mutex<Held>,
    owner: &'a str,
}

impl Drop for Dropping<'_> {
    fn drop(&mut self) {
        self.held.lock().drop_all_of(self.owner);
    }
}

impl Keys for CachedKeys {
    fn current<'a>(&'a self, owner: &'a str) -> BoxFuture<'a, Result<Key, KeysError>> {
        Box::pin(async move {
            let name = (Arc::from(owner), None);
            let asked = match self.held(&name) {
                Ok(Found::Key(key)) => return Ok(key),
                // A key to encrypt with is never held as forgotten.
                Ok(Found::Forgotten) => return self.keys.current(owner).await,
                Err(asked) => asked,
            };
            let key = self.keys.current(owner).await?;
            self.hold((Arc::clone(&name.0), Some(key.id().clone())), Found::Key(key.clone()), asked);
            self.hold(name, Found::Key(key.clone()), asked);
            Ok(key)
        })
    }

    fn find<'a>(&'a self, owner: &'a str, id: &'a KeyId) -> BoxFuture<'a, Result<Found, KeysError>> {
        Box::pin(async move {
            let name = (Arc::from(owner), Some(id.clone()));
            let asked = match self.held(&name) {
                Ok(found) => return Ok(found),
                Err(asked) => asked,
            };
            let found = self.keys.find(owner, id).await?;
            self.hold(name, found.clone(), asked);
            Ok(found)
        })
    }

    fn rotate<'a>(&'a self, owner: &'a str) -> BoxFuture<'a, Result<KeyId, KeysError>> {
        Box::pin(async move {
            let _dropping = Dropping { held: &self.held, owner };
            self.keys.rotate(owner).await
        })
    }

    fn forget<'a>(&'a self, owner: &'a str) -> BoxFuture<'a, Result<(), KeysError>> {
        Box::pin(async move {
            let _dropping = Dropping { held: &self.held, owner };
            self.keys.forget(owner).await
        })
    }
}

impl std::fmt::Debug for CachedKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CachedKeys")
            .field("held", &self.held.lock().keys.len())
            .field("keys_for", &self.keys_for)
            .field("keys_max", &self.keys_max)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encryption::{Aead, StoredKeys};
    use crate::store::MemoryStore;

    #[tokio::test]
    async fn it_holds_no_more_than_it_may() {
        let keys = StoredKeys::new(Arc::new(MemoryStore::new()), Arc::new(Aead::Aes256Gcm));
        let cached = CachedKeys::new(Arc::new(keys.expect("a store that deletes"))).keys_max(8);
        for number in 0..100 {
            let owner = format!("owner-{number}");
            let key = cached.current(&owner).await.expect("made");
            assert_eq!(cached.current(&owner).await.expect("held").id(), key.id());
            let held = cached.held.lock();
            assert!(
                held.keys.len() <= 8 && held.order.len() <= 8,
                "{} {}",
                held.keys.len(),
                held.order.len()
            );
        }
    }
}
