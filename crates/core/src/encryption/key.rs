use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// The name of a key, as it stands with the events that it encrypts; no secret, never used twice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Arc<str>);

impl KeyId {
    /// Names a key.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key of 256 bits. Its secret is never printed, and is overwritten in memory when the last copy is dropped.
#[derive(Clone)]
pub struct Key {
    id: KeyId,
    secret: Arc<Zeroizing<[u8; Self::BYTES]>>,
}

impl Key {
    /// How long a secret is, in bytes.
    pub const BYTES: usize = 32;

    /// Makes the key `id` of a secret that comes from a [`Cipher`](super::Cipher) or another good source of randomness.
    pub fn new(id: KeyId, secret: [u8; Self::BYTES]) -> Self {
        Self { id, secret: Arc::new(Zeroizing::new(secret)) }
    }

    /// Returns its name.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// Returns its secret: for ciphers, and for where keys are kept.
    pub fn secret(&self) -> &[u8; Self::BYTES] {
        &self.secret
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}
