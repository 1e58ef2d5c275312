use std::collections::VecDeque;
use std::mem::size_of;
use std::sync::Arc;

use super::{Cause, EventCodec, LoadError};
use crate::Aggregate;
use crate::snapshot::{KnownCommand, NotDecoded, Since, Snapshot, SnapshotCodec};
use crate::store::{Position, Revision, StoredEvent};

/// An aggregate as its stream has made it.
#[derive(Debug)]
pub(super) struct State<A> {
    pub(super) aggregate: A,
    pub(super) revision: Option<Revision>,
    /// Where its newest event stands.
    pub(super) position: Position,
    /// The commands that are recognised, the oldest first.
    commands: VecDeque<KnownCommand>,
    pub(super) since: Since,
}

impl<A: Aggregate> State<A> {
    pub(super) fn new() -> Self {
        Self {
            aggregate: A::default(),
            revision: None,
            position: Position::START,
            commands: VecDeque::new(),
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
            commands: snapshot.commands.into(),
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
            self.note(key, attributes.get(Cause::FINGERPRINT).map(String::as_str), 1, keys_max);
        }
        self.aggregate.evolve(&event);
        self.revision = Some(stored.revision);
        self.position = stored.position;
        self.since.events += 1;
        self.since.bytes += stored.event.data().len() as u64;
        self.since.time.get_or_insert(stored.event.time());
        Ok(())
    }

    /// Notes that `events` more were caused by the command with this key, from the present position on.
    pub(super) fn note(&mut self, key: &str, fingerprint: Option<&str>, events: u64, keys_max: usize) {
        match self.commands.back_mut() {
            // Events of one command stand next to each other.
            Some(newest) if &*newest.key == key => newest.events += events,
            _ => self.commands.push_back(KnownCommand {
                key: key.into(),
                fingerprint: fingerprint.map(Into::into),
                after: self.position,
                events,
            }),
        }
        while self.commands.len() > keys_max {
            self.commands.pop_front();
        }
    }

    /// Returns what was done under `key`.
    pub(super) fn known(&self, key: &str) -> Option<&KnownCommand> {
        // The newest are asked for most.
        self.commands.iter().rev().find(|known| &*known.key == key)
    }

    pub(super) fn commands(&self) -> impl Iterator<Item = &KnownCommand> {
        self.commands.iter()
    }
}

impl<A> State<A> {
    /// Returns how many bytes the repository keeps of it, besides the aggregate.
    pub(super) fn overhead(&self) -> usize {
        let texts = self.commands.iter();
        let texts =
            texts.map(|known| known.key.len() + known.fingerprint.as_ref().map_or(0, |text| text.len()));
        // An `Arc` has two counters.
        size_of::<Self>() - size_of::<A>()
            + self.commands.capacity() * (size_of::<KnownCommand>() + 4 * size_of::<usize>())
            + texts.sum::<usize>()
    }
}
