use std::fmt::Display;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How a state is written into snapshots and read back.
pub trait SnapshotCodec<A>: Send + Sync {
    /// Returns the version of the form that [`encode`](Self::encode) writes. A snapshot of any other version is
    /// dropped: raise it when the state's fields, or their meaning, change.
    fn version(&self) -> u32;

    /// Writes `state`.
    ///
    /// # Errors
    /// [`NotDecoded`] when this state cannot be written; then no snapshot is taken.
    fn encode(&self, state: &A) -> Result<Bytes, NotDecoded>;

    /// Reads a state of this [version](Self::version).
    ///
    /// # Errors
    /// [`NotDecoded`]; the snapshot is dropped then.
    fn decode(&self, data: &[u8]) -> Result<A, NotDecoded>;
}

/// Data that is not of the form which was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NotDecoded {
    /// What is wrong with it.
    pub reason: String,
}

impl NotDecoded {
    /// Says why.
    pub fn new(reason: impl Display) -> Self {
        Self { reason: reason.to_string() }
    }
}

/// Writes states as JSON.
#[derive(Debug, Clone, Copy)]
pub struct JsonSnapshots {
    version: u32,
}

impl JsonSnapshots {
    /// Makes the codec of the form `version`.
    pub fn new(version: u32) -> Self {
        Self { version }
    }
}

impl<A: Serialize + DeserializeOwned> SnapshotCodec<A> for JsonSnapshots {
    fn version(&self) -> u32 {
        self.version
    }

    fn encode(&self, state: &A) -> Result<Bytes, NotDecoded> {
        serde_json::to_vec(state).map(Bytes::from).map_err(NotDecoded::new)
    }

    fn decode(&self, data: &[u8]) -> Result<A, NotDecoded> {
        serde_json::from_slice(data).map_err(NotDecoded::new)
    }
}
