//! Personal data that can be forgotten: events are encrypted with a key of their stream, and deleting the key forgets
//! them in every copy of the store at once ("crypto-shredding").
//!
//! [`Encrypted`] is an [`EventStore`](crate::store::EventStore) around any other. It encrypts the *data* of each event
//! with the key of its [owner](Settings::owner), which is the stream unless said otherwise, by an authenticated
//! [`Cipher`]. [`Keys`] keep the keys: [`StoredKeys`] in a store of their own, [`CachedKeys`] in memory for a while,
//! [`MasterKeys`] are given by configuration, to wrap the others. ADR 018 says why it is a wrapper.
//!
//! **What stays readable**, because filters, routing, upcasting and order need it: all attributes of the event (id,
//! source, type, subject, time, data schema, trace, extensions such as `commandid`), the name of its stream, its size to
//! the byte, and when it was appended. Put nothing personal there: an order's number, not a name. Events without data
//! are left as they are.
//!
//! **What stands with the event**, as extension attributes: `encalgorithm`, `enckeyid`, `encdatatype` (the media type of
//! the data, which is `application/octet-stream` while it is encrypted) and `encowner`, where that is not the stream.
//! They are there for who reads the store directly, and taken off for who reads through the wrapper.
//!
//! **What a ciphertext is bound to** (its associated data): stream, owner, key, algorithm, and the event's id, source,
//! type, subject, media type and data schema. Moved to another event, or with one of these changed, it does not open:
//! [`Error::Damaged`](crate::store::Error::Damaged). An event that is *not* encrypted is returned as it stands, so that a
//! store can be encrypted from some day on: this hides data, it does not prove who has written them.
//!
//! **Forgetting.** [`Keys::forget`] deletes all keys of an owner. From then on its events are returned as
//! [`Settings::forgotten`] says: without data and [marked](is_forgotten), unless said otherwise; never an error by
//! surprise. [`Forgetful`] lets a [`Repository`](crate::repository::Repository) load such a stream. A key that is
//! missing without having been forgotten *is* an error, for it means the wrong store of keys.
//!
//! A process that still has an aggregate in its cache may take a snapshot of it, under the new key: forget, evict it in
//! each process, then forget once more.
//!
//! **What is not forgotten**: attributes; views and aggregates that were made of the events (remove or rebuild them;
//! [`Repository::evict`](crate::repository::Repository::evict) drops what a process keeps of an aggregate); snapshots
//! outside of the wrapper; backups of the store of keys; events that were read before. A snapshot in
//! [`StoredSnapshots`](crate::snapshot::StoredSnapshots) over the wrapper is encrypted with the key of its aggregate.
//! Streams that hold what belongs to several people (schedules, dead letters) need an [owner](Settings::owner) by
//! event, or are forgotten as one.
//!
//! # Examples
#![cfg_attr(feature = "encryption", doc = "```")]
#![cfg_attr(not(feature = "encryption"), doc = "```ignore")]
//! use std::sync::Arc;
//! use futures::TryStreamExt;
//! use steadfast_core::Event;
//! use steadfast_core::encryption::{Aead, CachedKeys, Encrypted, Keys, Settings, StoredKeys, is_forgotten};
//! use steadfast_core::store::{Batch, Condition, Durability, EventStore, MemoryStore, Query};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cipher = Arc::new(Aead::Aes256Gcm);
//! // In practice a SQLite database of its own, which overwrites what is deleted.
//! let keys = StoredKeys::new(Arc::new(MemoryStore::new()), cipher.clone())?;
//! let keys = Arc::new(CachedKeys::new(Arc::new(keys)));
//! let store = Encrypted::new(Arc::new(MemoryStore::new()), keys.clone(), cipher, Settings::default());
//!
//! let event = Event::new("/customers", "customer.registered").json(&serde_json::json!({"name": "Ada"}))?;
//! store.append(Batch::to_stream("customer-1", [event.clone()]), Condition::Any, Durability::Accepted).await?;
//! let read: Vec<_> = store.read(Query::stream("customer-1")).try_collect().await?;
//! assert_eq!(read[0].event, event);
//!
//! keys.forget("customer-1").await?;
//! let read: Vec<_> = store.read(Query::stream("customer-1")).try_collect().await?;
//! assert!(is_forgotten(&read[0].event) && read[0].event.data().is_empty());
//! # Ok(()) }
//! ```

#[cfg(any(test, feature = "encryption"))]
mod aead;
mod cached;
mod cipher;
mod encrypted;
mod envelope;
mod error;
mod forgetful;
mod key;
mod keys;
mod master;
mod settings;
mod stored;
#[cfg(test)]
mod tests;

#[cfg(any(test, feature = "encryption"))]
pub use aead::Aead;
pub use cached::CachedKeys;
pub use cipher::Cipher;
pub use cipher::CipherError;
pub use encrypted::Encrypted;
pub use envelope::is_forgotten;
pub use error::KeysError;
pub use forgetful::Forgetful;
pub use key::Key;
pub use key::KeyId;
pub use keys::Found;
pub use keys::Keys;
pub use master::MasterKeys;
pub use settings::Forgotten;
pub use settings::OwnerOf;
pub use settings::Settings;
pub use stored::StoredKeys;
