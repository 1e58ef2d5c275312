//! What stands with an encrypted event.

use std::sync::Arc;

use super::KeyId;
use crate::Event;
use crate::store::Error;

const ALGORITHM: &str = "encalgorithm";
const KEY: &str = "enckeyid";
const OWNER: &str = "encowner";
const CONTENT_TYPE: &str = "encdatatype";
const FORGOTTEN: &str = "encforgotten";
/// The media type of what is encrypted.
const SEALED: &str = "application/octet-stream";

/// Says whether the data of `event` were forgotten: it has its attributes, and no data or some in their place.
pub fn is_forgotten(event: &Event) -> bool {
    event.extensions().contains_key(FORGOTTEN)
}

/// Marks an event whose data are gone.
pub(super) fn mark(mut event: Event) -> Event {
    event.put_extension(FORGOTTEN, "true");
    event
}

/// How an event is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) algorithm: Arc<str>,
    pub(super) key: KeyId,
    pub(super) owner: Arc<str>,
}

impl Envelope {
    /// Refuses an event that would be taken for what it is not.
    pub(super) fn check(event: &Event) -> Result<(), Error> {
        let reserved = [ALGORITHM, KEY, OWNER, CONTENT_TYPE, FORGOTTEN];
        match reserved.into_iter().find(|name| event.extensions().contains_key(*name)) {
            None => Ok(()),
            Some(name) => {
                let id = event.id();
                Err(Error::Invalid {
                    reason: format!("attribute `{name}` of event {id} belongs to encryption"),
                })
            }
        }
    }

    /// Puts the envelope, and what is `sealed`, on `event` in `stream`.
    pub(super) fn put(self, stream: &str, mut event: Event, sealed: bytes::Bytes) -> Event {
        let mut put = |name: &str, value: &str| event.put_extension(name, value);
        put(ALGORITHM, &self.algorithm);
        put(KEY, self.key.as_str());
        if *self.owner != *stream {
            put(OWNER, &self.owner);
        }
        if let Some(content_type) = event.content_type.replace(SEALED.into()) {
            event.put_extension(CONTENT_TYPE, &*content_type);
        }
        event.data = sealed;
        event
    }

    /// Takes the envelope off `event` in `stream`, which keeps what is sealed as its data; none if it has none.
    pub(super) fn take(stream: &str, event: &mut Event) -> Option<Self> {
        let algorithm = event.take_extension(ALGORITHM)?.into();
        let key = KeyId::new(event.take_extension(KEY).unwrap_or_default());
        let owner = event.take_extension(OWNER).map_or_else(|| stream.into(), Arc::from);
        event.content_type = event.take_extension(CONTENT_TYPE).map(Arc::from);
        Some(Self { algorithm, key, owner })
    }

    /// Returns what the ciphertext is bound to, for `event` as it is in the clear. Each part has its length before it,
    /// so that no two lists of parts read the same.
    pub(super) fn bound(&self, stream: &str, event: &Event) -> Vec<u8> {
        let id = event.id().as_u128().to_be_bytes();
        let parts: [Option<&[u8]>; 11] = [
            Some(b"steadfast.encryption.1"),
            Some(self.algorithm.as_bytes()),
            Some(self.key.as_str().as_bytes()),
            Some(self.owner.as_bytes()),
            Some(stream.as_bytes()),
            Some(&id),
            Some(event.source().as_bytes()),
            Some(event.kind().as_bytes()),
            event.subject().map(str::as_bytes),
            event.content_type().map(str::as_bytes),
            event.data_schema().map(str::as_bytes),
        ];
        let mut bound = Vec::with_capacity(256);
        for part in parts {
            // No part is that long, so this is none.
            bound.extend_from_slice(&part.map_or(u64::MAX, |part| part.len() as u64).to_be_bytes());
            bound.extend_from_slice(part.unwrap_or_default());
        }
        bound
    }
}
