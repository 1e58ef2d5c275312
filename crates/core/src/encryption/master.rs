use futures::future::BoxFuture;

use super::{Found, Key, KeyId, Keys, KeysError};

/// Keys that are given, the same for every owner: to wrap a store of keys with, so that a copy of it opens nothing for who
/// has not got the master key as well.
///
/// A new one encrypts from now on; those before it must stay for as long as something is encrypted with them.
///
/// # Examples
#[cfg_attr(feature = "encryption", doc = "```")]
#[cfg_attr(not(feature = "encryption"), doc = "```ignore")]
/// use std::sync::Arc;
/// use steadfast_core::encryption::{Aead, Encrypted, Key, KeyId, MasterKeys, Settings, StoredKeys};
/// use steadfast_core::store::MemoryStore;
///
/// let secret = [7; Key::BYTES]; // from a vault
/// let master = MasterKeys::new(Key::new(KeyId::new("2026"), secret));
/// let cipher = Arc::new(Aead::Aes256Gcm);
/// let place = Arc::new(MemoryStore::new());
/// let wrapped = Encrypted::new(place, Arc::new(master), cipher.clone(), Settings::default());
/// let keys = StoredKeys::new(Arc::new(wrapped), cipher)?;
/// # let _ = keys;
/// # Ok::<(), steadfast_core::encryption::KeysError>(())
/// ```
#[derive(Debug, Clone)]
pub struct MasterKeys {
    /// The newest first.
    keys: Vec<Key>,
}

impl MasterKeys {
    /// Encrypts and decrypts with `key`.
    pub fn new(key: Key) -> Self {
        Self { keys: vec![key] }
    }

    /// Decrypts with `key`, too, what was encrypted before.
    #[must_use]
    pub fn also_opens(mut self, key: Key) -> Self {
        self.keys.push(key);
        self
    }
}

impl Keys for MasterKeys {
    fn current<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Key, KeysError>> {
        Box::pin(async { Ok(self.keys[0].clone()) })
    }

    fn find<'a>(&'a self, owner: &'a str, id: &'a KeyId) -> BoxFuture<'a, Result<Found, KeysError>> {
        Box::pin(async move {
            let found = self.keys.iter().find(|key| key.id() == id);
            found
                .map(|key| Found::Key(key.clone()))
                .ok_or_else(|| KeysError::Missing { owner: owner.into(), id: id.clone() })
        })
    }

    fn rotate<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<KeyId, KeysError>> {
        Box::pin(async { Err(KeysError::Unsupported { what: "rotated: they are given" }) })
    }

    fn forget<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), KeysError>> {
        Box::pin(async { Err(KeysError::Unsupported { what: "forgotten: they are everybody's" }) })
    }
}
