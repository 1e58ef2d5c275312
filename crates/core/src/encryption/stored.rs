use std::sync::Arc;

use futures::TryStreamExt;
use futures::future::BoxFuture;

use super::{Cipher, Found, Key, KeyId, Keys, KeysError};
use crate::store::{
    self, Batch, Condition, Direction, Durability, EventStore, Expected, Filter, Query, Revision, StoredEvent,
};
use crate::{Event, EventId};

/// The stream in which it is noted which keys were forgotten.
const FORGOTTEN_STREAM: &str = "steadfast-forgotten-keys";
const MADE: &str = "steadfast.key.made";
const FORGOTTEN: &str = "steadfast.key.forgotten";
const SOURCE: &str = "/steadfast/keys";

/// Keys in an [`EventStore`] of their own, the keys of each owner in a stream of that name. Which keys were forgotten
/// stays on record there (owner, names of the keys, time), so that one that is missing for another reason is noticed.
///
/// The store must be able to [delete](EventStore::delete), and it alone decides how thoroughly that forgets:
/// - **SQLite** overwrites (`secure_delete`) and empties its write-ahead log. Blocks that the file system or the drive
///   has moved elsewhere (copy-on-write, flash) may keep old bytes.
/// - **PostgreSQL** keeps a deleted row until it is vacuumed, and in its log, its archive and its replicas.
/// - The **file log** keeps the bytes until `FileLog::erase` is called, which writes the segments anew that hold some:
///   call it after forgetting.
/// - **Memory** forgets, also without being asked.
///
/// Where old bytes may stay, wrap the store with [`MasterKeys`](super::MasterKeys): they are worth nothing without the
/// master key. Backups of this store bring forgotten keys back; keep them for a shorter time than the law gives you.
///
/// Keys are appended with the highest durability that the store has, before anything is encrypted with them.
pub struct StoredKeys {
    store: Arc<dyn EventStore>,
    cipher: Arc<dyn Cipher>,
    durability: Durability,
}

impl StoredKeys {
    /// Keeps keys in `store`, which holds nothing else; `cipher` makes them.
    ///
    /// # Errors
    /// [`KeysError::Unsupported`] when the store cannot delete.
    pub fn new(store: Arc<dyn EventStore>, cipher: Arc<dyn Cipher>) -> Result<Self, KeysError> {
        if !store.capabilities().deletes {
            return Err(KeysError::Unsupported { what: "kept in a store that deletes nothing" });
        }
        let durability = store.capabilities().durability_max;
        Ok(Self { store, cipher, durability })
    }

    /// Returns the newest key of `owner`.
    async fn newest(&self, owner: &str) -> Result<Option<(Key, Revision)>, KeysError> {
        let query = Query { direction: Direction::Backward, limit: Some(1), ..Query::stream(owner) };
        let Some(stored) = self.store.read(query).try_next().await? else { return Ok(None) };
        Ok(Some((key_of(owner, &stored)?, stored.revision)))
    }

    /// Makes a key on condition that the stream is as `expected`; none if it is not.
    async fn make(&self, owner: &str, expected: Expected) -> Result<Option<Key>, KeysError> {
        let secret = self.cipher.secret()?;
        let id = EventId::generate();
        let key = Key::new(KeyId::new(id.to_string()), secret);
        let event = Event::new(SOURCE, MADE).id(id).data("application/octet-stream", secret.to_vec());
        let batch = Batch::to_stream(owner, [event]);
        match self.store.append(batch, Condition::stream(owner, expected), self.durability).await {
            Ok(_) => Ok(Some(key)),
            Err(store::Error::Conflict { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn was_forgotten(&self, owner: &str, id: &KeyId) -> Result<bool, KeysError> {
        let filter = Filter { subjects: vec![owner.into()], ..Filter::stream(FORGOTTEN_STREAM) };
        let mut notes = self.store.read(Query { filter, ..Query::default() });
        while let Some(note) = notes.try_next().await? {
            let ids: Vec<&str> = serde_json::from_slice(note.event.data()).unwrap_or_default();
            if ids.contains(&id.as_str()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Keys for StoredKeys {
    fn current<'a>(&'a self, owner: &'a str) -> BoxFuture<'a, Result<Key, KeysError>> {
        Box::pin(async move {
            check(owner)?;
            loop {
                if let Some((key, _)) = self.newest(owner).await? {
                    return Ok(key);
                }
                // Whoever was faster has made progress, so this ends.
                if let Some(key) = self.make(owner, Expected::NoStream).await? {
                    return Ok(key);
                }
            }
        })
    }

    fn find<'a>(&'a self, owner: &'a str, id: &'a KeyId) -> BoxFuture<'a, Result<Found, KeysError>> {
        Box::pin(async move {
            check(owner)?;
            let mut kept = self.store.read(Query::stream(owner));
            while let Some(stored) = kept.try_next().await? {
                if stored.event.id().to_string() == id.as_str() {
                    return Ok(Found::Key(key_of(owner, &stored)?));
                }
            }
            if self.was_forgotten(owner, id).await? {
                return Ok(Found::Forgotten);
            }
            Err(KeysError::Missing { owner: owner.into(), id: id.clone() })
        })
    }

    fn rotate<'a>(&'a self, owner: &'a str) -> BoxFuture<'a, Result<KeyId, KeysError>> {
        Box::pin(async move {
            check(owner)?;
            loop {
                let revision = self.store.revision(owner).await?;
                let expected = revision.map_or(Expected::NoStream, Expected::Revision);
                if let Some(key) = self.make(owner, expected).await? {
                    return Ok(key.id().clone());
                }
            }
        })
    }

    fn forget<'a>(&'a self, owner: &'a str) -> BoxFuture<'a, Result<(), KeysError>> {
        Box::pin(async move {
            check(owner)?;
            loop {
                let kept: Vec<_> = self.store.read(Query::stream(owner)).try_collect().await?;
                let Some(last) = kept.last().map(|stored| stored.revision) else { return Ok(()) };
                // Noted first: a crash in between leaves a key that is still found, and is forgotten the next time.
                let ids: Vec<String> = kept.iter().map(|stored| stored.event.id().to_string()).collect();
                let note = Event::new(SOURCE, FORGOTTEN).subject(owner).json(&ids);
                let note = note.expect("texts can be written as JSON");
                let batch = Batch::to_stream(FORGOTTEN_STREAM, [note]);
                self.store.append(batch, Condition::Any, self.durability).await?;
                match self.store.delete(owner, Some(Expected::Revision(last)), self.durability).await {
                    Ok(_) => return Ok(()),
                    // A key was made, or all were forgotten, meanwhile.
                    Err(store::Error::Conflict { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        })
    }
}

fn check(owner: &str) -> Result<(), KeysError> {
    let reason = match owner {
        "" => "the name is empty",
        FORGOTTEN_STREAM => "the name is taken",
        _ => return Ok(()),
    };
    Err(KeysError::Owner { owner: owner.into(), reason })
}

fn key_of(owner: &str, stored: &StoredEvent) -> Result<Key, KeysError> {
    let id = KeyId::new(stored.event.id().to_string());
    match <[u8; Key::BYTES]>::try_from(&stored.event.data()[..]) {
        Ok(secret) if stored.event.kind() == MADE => Ok(Key::new(id, secret)),
        _ => Err(KeysError::NoKey { owner: owner.into(), id }),
    }
}

impl std::fmt::Debug for StoredKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredKeys").field("durability", &self.durability).finish_non_exhaustive()
    }
}
