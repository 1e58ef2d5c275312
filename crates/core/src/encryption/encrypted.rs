use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};

use super::envelope::{Envelope, mark};
use super::{Cipher, Forgotten, Found, Keys, Settings};
use crate::Event;
use crate::store::{
    Appended, Archived, Batch, Capabilities, Condition, Deleted, Durability, Error, EventStore, Expected,
    Filter, NewEvent, Position, Query, Revision, StoredEvent,
};

/// An [`EventStore`] that encrypts what another one holds; see the [module](super).
///
/// It promises what the other one does, and can do what that can. The other one's limit on the size of events holds for
/// what is encrypted, which is a little longer. Closing it closes the other one, and not the store of the keys.
pub struct Encrypted {
    inner: Arc<dyn EventStore>,
    keys: Arc<dyn Keys>,
    /// The first encrypts, all decrypt.
    ciphers: Vec<Arc<dyn Cipher>>,
    settings: Settings,
}

impl Encrypted {
    /// Wraps `inner`: events are encrypted by `cipher` with `keys`.
    pub fn new(
        inner: Arc<dyn EventStore>,
        keys: Arc<dyn Keys>,
        cipher: Arc<dyn Cipher>,
        settings: Settings,
    ) -> Self {
        Self { inner, keys, ciphers: vec![cipher], settings }
    }

    /// Decrypts by `cipher`, too, what was encrypted before another was chosen.
    #[must_use]
    pub fn also_opens(mut self, cipher: Arc<dyn Cipher>) -> Self {
        self.ciphers.push(cipher);
        self
    }

    async fn seal(&self, stream: &str, event: Event) -> Result<Event, Error> {
        Envelope::check(&event)?;
        if event.data().is_empty() {
            return Ok(event);
        }
        let Some(owner) = (self.settings.owner)(stream, &event) else { return Ok(event) };
        let place = || format!("the keys of `{owner}`");
        let key = self.keys.current(&owner).await.map_err(|error| error.into_store(place))?;
        let cipher = &self.ciphers[0];
        let envelope = Envelope {
            algorithm: cipher.algorithm().into(),
            key: key.id().clone(),
            owner: Arc::clone(&owner),
        };
        let bound = envelope.bound(stream, &event);
        let sealed = cipher.seal(&key, &bound, event.data());
        let sealed = sealed.map_err(|error| Error::Invalid { reason: error.to_string() })?;
        Ok(envelope.put(stream, event, sealed))
    }

    async fn open(&self, mut stored: StoredEvent) -> Result<StoredEvent, Error> {
        let Some(envelope) = Envelope::take(&stored.stream, &mut stored.event) else { return Ok(stored) };
        let place = || format!("event {} of stream `{}`", stored.revision, stored.stream);
        let found = self.keys.find(&envelope.owner, &envelope.key).await;
        match found.map_err(|error| error.into_store(place))? {
            Found::Key(key) => {
                let known = self.ciphers.iter().find(|cipher| cipher.algorithm() == &*envelope.algorithm);
                let cipher = known.ok_or_else(|| Error::Unsupported {
                    what: format!("algorithm `{}` of {}: give it the cipher", envelope.algorithm, place()),
                })?;
                let bound = envelope.bound(&stored.stream, &stored.event);
                let data = cipher.open(&key, &bound, stored.event.data());
                let damaged = |error| Error::Damaged { place: place(), problem: format!("{error}") };
                stored.event.data = data.map_err(damaged)?;
            }
            Found::Forgotten => {
                stored.event.data = bytes::Bytes::new();
                stored.event = mark(stored.event);
                match &self.settings.forgotten {
                    Forgotten::Mark => {}
                    Forgotten::Replace(replace) => stored.event = mark(replace(&stored)),
                    Forgotten::Fail => {
                        let what = format!(
                            "the data of event {} of stream `{}`: their key was forgotten",
                            stored.revision, stored.stream
                        );
                        return Err(Error::Unsupported { what });
                    }
                }
            }
        }
        Ok(stored)
    }

    fn opened<'a>(
        &'a self,
        events: BoxStream<'a, Result<StoredEvent, Error>>,
    ) -> BoxStream<'a, Result<StoredEvent, Error>> {
        let ended = |failed: &mut bool, stored: Result<StoredEvent, Error>| {
            let ends = std::mem::replace(failed, stored.is_err());
            std::future::ready((!ends).then_some(stored))
        };
        events.and_then(|stored| self.open(stored)).scan(false, ended).boxed()
    }
}

impl EventStore for Encrypted {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn append(
        &self,
        batch: Batch,
        condition: Condition,
        durability: Durability,
    ) -> BoxFuture<'_, Result<Appended, Error>> {
        Box::pin(async move {
            // What will be refused gets no key.
            batch.check(self.capabilities().multi_stream)?;
            let mut events = Vec::with_capacity(batch.events.len());
            for NewEvent { stream, event } in batch.events {
                let event = self.seal(&stream, event).await?;
                events.push(NewEvent { stream, event });
            }
            self.inner.append(Batch { events }, condition, durability).await
        })
    }

    fn read(&self, query: Query) -> BoxStream<'_, Result<StoredEvent, Error>> {
        self.opened(self.inner.read(query))
    }

    fn subscribe(&self, filter: Filter, after: Position) -> BoxStream<'_, Result<StoredEvent, Error>> {
        self.opened(self.inner.subscribe(filter, after))
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, Error>> {
        self.inner.head()
    }

    fn revision<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<Option<Revision>, Error>> {
        self.inner.revision(stream)
    }

    fn delete<'a>(
        &'a self,
        stream: &'a str,
        expected: Option<Expected>,
        durability: Durability,
    ) -> BoxFuture<'a, Result<Deleted, Error>> {
        self.inner.delete(stream, expected, durability)
    }

    /// What is encrypted cannot be compressed: little room is won.
    fn archive(&self, kept: u32) -> BoxFuture<'_, Result<Archived, Error>> {
        self.inner.archive(kept)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.inner.close()
    }
}

impl std::fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encrypted").field("settings", &self.settings).finish_non_exhaustive()
    }
}
