use std::collections::HashMap;

use futures::future::BoxFuture;
use parking_lot::Mutex;

use super::{Snapshot, Snapshots};
use crate::store;

/// Snapshots in memory: they save replaying when an aggregate has left the cache, and are gone with the process.
#[derive(Debug, Default)]
pub struct MemorySnapshots(Mutex<HashMap<String, Snapshot>>);

impl MemorySnapshots {
    /// Makes an empty place.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns how many streams have one.
    pub fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Says whether no stream has one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Snapshots for MemorySnapshots {
    fn load<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<Option<Snapshot>, store::Error>> {
        Box::pin(async move { Ok(self.0.lock().get(stream).cloned()) })
    }

    fn save<'a>(&'a self, stream: &'a str, snapshot: Snapshot) -> BoxFuture<'a, Result<(), store::Error>> {
        Box::pin(async move {
            self.0.lock().insert(stream.to_owned(), snapshot);
            Ok(())
        })
    }

    fn remove<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<(), store::Error>> {
        Box::pin(async move {
            self.0.lock().remove(stream);
            Ok(())
        })
    }
}
