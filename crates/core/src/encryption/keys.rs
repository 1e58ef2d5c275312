use futures::future::BoxFuture;

use super::{Key, KeyId, KeysError};

/// Where keys are kept, each owner's apart.
///
/// Whoever implements it sees to it that a key which was returned for encrypting outlives what it has encrypted, until
/// it is forgotten.
pub trait Keys: Send + Sync + 'static {
    /// Returns the key that new events of `owner` are encrypted with, and makes one if there is none. Whoever asks at the
    /// same time gets the same.
    ///
    /// # Errors
    /// [`KeysError`] when keys cannot be reached or made.
    ///
    /// # Cancel safety
    /// Dropping the future may leave a key made.
    fn current<'a>(&'a self, owner: &'a str) -> BoxFuture<'a, Result<Key, KeysError>>;

    /// Looks for the key `id` of `owner`.
    ///
    /// # Errors
    /// [`KeysError::Missing`] when it is not here and was not forgotten here either; [`KeysError`] when keys cannot be
    /// reached.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    fn find<'a>(&'a self, owner: &'a str, id: &'a KeyId) -> BoxFuture<'a, Result<Found, KeysError>>;

    /// Makes a new key for events of `owner` to come and returns its name; the older keys stay, to decrypt.
    ///
    /// # Errors
    /// As [`current`](Self::current); [`KeysError::Unsupported`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether it was made.
    fn rotate<'a>(&'a self, owner: &'a str) -> BoxFuture<'a, Result<KeyId, KeysError>>;

    /// Deletes all keys of `owner`; once it returns, nobody is given them any more. Events to come get a new key.
    ///
    /// # Errors
    /// [`KeysError`] when it is not sure that they are deleted: forget them again. [`KeysError::Unsupported`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether they are deleted: forget them again.
    fn forget<'a>(&'a self, owner: &'a str) -> BoxFuture<'a, Result<(), KeysError>>;
}

/// What became of a key.
#[derive(Debug, Clone)]
pub enum Found {
    /// It is here.
    Key(Key),
    /// It was forgotten, and will not come back.
    Forgotten,
}
