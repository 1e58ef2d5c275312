use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::NotDecoded;
use crate::store::{self, Position, Revision};

/// The state of a stream at one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The version of the form that `state` is in.
    pub version: u32,
    /// The revision of the last event that has made it.
    pub revision: Revision,
    /// The position of that event.
    pub position: Position,
    /// When it was taken.
    pub taken: SystemTime,
    /// The commands that are recognised when they are repeated, the oldest first.
    pub commands: Vec<KnownCommand>,
    /// The state.
    pub state: Bytes,
}

/// A command that was carried out under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownCommand {
    /// Its key.
    pub key: Arc<str>,
    /// What else was asked under that key would not have.
    pub fingerprint: Option<Arc<str>>,
    /// The position of the event before its first.
    pub after: Position,
    /// How many events it caused.
    pub events: u64,
}

/// Where snapshots are kept, the newest of each stream.
pub trait Snapshots: Send + Sync {
    /// Returns the snapshot of `stream`; none, too, for one that cannot be read any more.
    ///
    /// # Errors
    /// The place cannot be reached.
    fn load<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<Option<Snapshot>, store::Error>>;

    /// Keeps `snapshot` of `stream` in the place of an older one.
    ///
    /// # Errors
    /// The place did not take it.
    fn save<'a>(&'a self, stream: &'a str, snapshot: Snapshot) -> BoxFuture<'a, Result<(), store::Error>>;

    /// Drops the snapshot of `stream`, if there is one.
    ///
    /// # Errors
    /// The place cannot be reached.
    fn remove<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<(), store::Error>>;
}

/// All of a snapshot but its state.
#[derive(Serialize, Deserialize)]
struct Head {
    version: u32,
    revision: u64,
    position: String,
    taken: SystemTime,
    commands: Vec<HeadCommand>,
}

#[derive(Serialize, Deserialize)]
struct HeadCommand {
    key: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fingerprint: Option<Arc<str>>,
    after: String,
    events: u64,
}

impl Snapshot {
    /// Writes the snapshot: one line of JSON, then the state as it is.
    pub fn to_bytes(&self) -> Bytes {
        let commands = self.commands.iter().map(|command| HeadCommand {
            key: Arc::clone(&command.key),
            fingerprint: command.fingerprint.clone(),
            after: command.after.to_string(),
            events: command.events,
        });
        let head = Head {
            version: self.version,
            revision: self.revision.0,
            position: self.position.to_string(),
            taken: self.taken,
            commands: commands.collect(),
        };
        let mut bytes = serde_json::to_vec(&head).expect("a plain structure can be written as JSON");
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.state);
        bytes.into()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`NotDecoded`] when it is something else.
    pub fn from_bytes(bytes: &Bytes) -> Result<Self, NotDecoded> {
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| NotDecoded::new("no head"))?;
        let head: Head = serde_json::from_slice(&bytes[..end]).map_err(NotDecoded::new)?;
        let commands = head.commands.into_iter().map(|command| {
            let after = command.after.parse().map_err(NotDecoded::new)?;
            Ok(KnownCommand {
                key: command.key,
                fingerprint: command.fingerprint,
                after,
                events: command.events,
            })
        });
        Ok(Self {
            version: head.version,
            revision: Revision(head.revision),
            position: head.position.parse().map_err(NotDecoded::new)?,
            taken: head.taken,
            commands: commands.collect::<Result<_, NotDecoded>>()?,
            state: bytes.slice(end + 1..),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_snapshot_survives_its_bytes_and_other_bytes_are_an_error(
            (version, revision, major, minor) in any::<(u32, u64, u64, u64)>(),
            keys in prop::collection::vec((".{0,20}", proptest::option::of(".{0,20}"), any::<u64>()), 0..5),
            state in any::<Vec<u8>>(),
            cut in any::<usize>(),
        ) {
            let commands = keys.into_iter().map(|(key, fingerprint, events)| KnownCommand {
                key: key.into(),
                fingerprint: fingerprint.map(Into::into),
                after: Position::from_parts(events / 2, 3),
                events,
            });
            let snapshot = Snapshot {
                version,
                revision: Revision(revision),
                position: Position::from_parts(major, minor),
                taken: SystemTime::UNIX_EPOCH + std::time::Duration::from_nanos(revision >> 4),
                commands: commands.collect(),
                state: state.into(),
            };
            let bytes = snapshot.to_bytes();
            prop_assert_eq!(Snapshot::from_bytes(&bytes), Ok(snapshot));
            let head = bytes.iter().position(|byte| *byte == b'\n').unwrap_or_default();
            prop_assert!(Snapshot::from_bytes(&bytes.slice(..cut % (head + 1))).is_err());
        }
    }
}
