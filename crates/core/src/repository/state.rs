use std::sync::Arc;

use super::known::Known;
use super::{Cause, EventCodec, LoadError};
use crate::Aggregate;
use crate::snapshot::{NotDecoded, Since, Snapshot, SnapshotCodec};
use crate::store::{Position, Revision, StoredEvent};

/// An aggregate as its stream has made it.
#[derive(Debug)]
pub(super) struct State<A> {
    pub(super) aggregate: A,
    pub(super) revision: Option<Revision>,
    /// Where its newest event stands.
    pub(super) position: Position,
    pub(super) known: Known,
    /// What these took when the cache was told.
    known_weighed: usize,
    pub(super) since: Since,
}

impl<A: Aggregate> State<A> {
    pub(super) fn new() -> Self {
        Self {
            aggregate: A::default(),
            revision: None,
            position: Position::START,
            known: Known::default(),
            known_weighed: 0,
            since: Since::default(),
        }
    }

    pub(super) fn restore(snapshot: Snapshot, codec: &dyn SnapshotCodec<A>) -> Result<Self, NotDecoded> {
        let version = codec.version();
        if snapshot.version != version {
            return Err(NotDecoded::new(format!("it has version {}, not {version}", snapshot.version)));
        }
        Ok(Self {
            aggregate: codec.decode(&snapshot.state)?,
            revision: Some(snapshot.revision),
            position: snapshot.position,
            known: snapshot.commands.into_iter().collect(),
            known_weighed: 0,
            since: Since { time: Some(snapshot.taken), ..Since::default() },
        })
    }

    /// Applies an event as the store returned it.
    pub(super) fn apply_stored<C: EventCodec<A>>(
        &mut self,
        stored: &StoredEvent,
        codec: &C,
        keys_max: usize,
    ) -> Result<(), LoadError> {
        let event = codec.decode(&stored.event).map_err(|source| LoadError::NotDecoded {
            stream: Arc::clone(&stored.stream),
            revision: stored.revision,
            kind: stored.event.kind().into(),
            source,
        })?;
        let attributes = stored.event.extensions();
        if let Some(key) = attributes.get(Cause::KEY) {
            let fingerprint = attributes.get(Cause::FINGERPRINT).map(|text| text.as_str().into());
            self.known.note(&key.as_str().into(), fingerprint.as_ref(), self.position, 1, keys_max);
        }
        self.aggregate.evolve(&event);
        self.revision = Some(stored.revision);
        self.position = stored.position;
        self.since.events += 1;
        self.since.bytes += stored.event.data().len() as u64;
        self.since.time.get_or_insert(stored.event.time());
        Ok(())
    }
}

impl<A> State<A> {
    /// Returns how many bytes the keys that are known take, and notes that the cache has been told.
    pub(super) fn weigh_known(&mut self) -> usize {
        self.known_weighed = self.known.allocated();
        self.known_weighed
    }

    /// Says whether keys take an eighth more than the cache knows. Telling it each time would cost more than a command.
    pub(super) fn has_grown(&self) -> bool {
        self.known.allocated() > self.known_weighed + self.known_weighed / 8
    }
}
