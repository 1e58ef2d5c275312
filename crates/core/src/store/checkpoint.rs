use std::sync::Arc;

use futures::TryStreamExt;

use super::{
    Batch, Condition, Direction, Durability, Error, EventStore, Expected, NewEvent, Position, Query,
    Revision, StreamCondition,
};
use crate::Event;

/// What the name of a reader's stream begins with.
const PREFIX: &str = "checkpoint-";

/// Where a reader of a store has got to, kept in the same store, so that it can move in the same batch as what the
/// reader did.
///
/// It fences: of two readers with the same name, the one that moves it second gets [`Error::Conflict`].
#[derive(Debug, Clone)]
pub struct Checkpoint {
    stream: Arc<str>,
    position: Position,
    revision: Option<Revision>,
}

impl Checkpoint {
    /// The type of the events that a checkpoint is made of.
    pub const KIND: &'static str = "steadfast.checkpoint.moved";

    /// Reads the checkpoint of the reader `name`; one that never moved stands at [`Position::START`].
    ///
    /// # Errors
    /// What reading the store fails with; [`Error::Damaged`] when the stream holds something else.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn load(store: &dyn EventStore, name: &str) -> Result<Self, Error> {
        let stream: Arc<str> = format!("{PREFIX}{name}").into();
        let query =
            Query { direction: Direction::Backward, limit: Some(1), ..Query::stream(Arc::clone(&stream)) };
        let Some(newest) = store.read(query).try_next().await? else {
            return Ok(Self { stream, position: Position::START, revision: None });
        };
        let text = std::str::from_utf8(newest.event.data()).unwrap_or_default();
        let position = text.parse().map_err(|_| Error::Damaged {
            place: format!("stream `{stream}`, revision {}", newest.revision),
            problem: "it holds no position".to_owned(),
        })?;
        Ok(Self { stream, position, revision: Some(newest.revision) })
    }

    /// Returns the reader's name.
    pub fn name(&self) -> &str {
        self.stream.strip_prefix(PREFIX).unwrap_or(&self.stream)
    }

    /// Says whether it has ever been moved.
    pub fn has_moved(&self) -> bool {
        self.revision.is_some()
    }

    /// Returns up to where everything is done.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Returns the event that moves the checkpoint to `position` and the condition that fences, for a batch that also
    /// holds what the reader did. Once that is appended, load the checkpoint again or call
    /// [`moved`](Self::moved).
    pub fn step(&self, position: Position) -> (NewEvent, StreamCondition) {
        let event = Event::new("/steadfast/checkpoint", Self::KIND).data("text/plain", position.to_string());
        let expected = self.revision.map_or(Expected::NoStream, Expected::Revision);
        let condition = StreamCondition { stream: Arc::clone(&self.stream), expected };
        (NewEvent { stream: Arc::clone(&self.stream), event }, condition)
    }

    /// Takes note that the batch with the [`step`](Self::step) to `position` was appended.
    pub fn moved(&mut self, position: Position) {
        self.position = position;
        self.revision = Some(self.revision.map_or(Revision(0), Revision::next));
    }

    /// Moves the checkpoint to `position`.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another reader of the same name has moved it; what appending fails with.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether it moved: load it again.
    pub async fn save(
        &mut self,
        store: &dyn EventStore,
        position: Position,
        durability: Durability,
    ) -> Result<(), Error> {
        let (event, condition) = self.step(position);
        let condition = Condition::Streams(vec![condition]);
        let appended = store.append(Batch { events: vec![event] }, condition, durability).await?;
        self.position = position;
        self.revision = Some(appended.revision);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[tokio::test]
    async fn it_is_found_again_and_fences_a_second_reader() {
        let store = MemoryStore::new();
        let mut first = Checkpoint::load(&store, "mail").await.expect("a readable store");
        let mut second = first.clone();
        assert_eq!(first.position(), Position::START);
        for step in [Position::from_parts(7, 0), Position::from_parts(9, 2)] {
            first.save(&store, step, Durability::Accepted).await.expect("nobody else moves it");
            let found = Checkpoint::load(&store, "mail").await.expect("a readable store");
            assert_eq!(found.position(), step);
        }
        let fenced = second.save(&store, Position::from_parts(8, 0), Durability::Accepted).await;
        assert!(matches!(fenced, Err(Error::Conflict { .. })), "{fenced:?}");
        let other = Checkpoint::load(&store, "post").await.expect("a readable store");
        assert_eq!(other.position(), Position::START);
    }

    #[tokio::test]
    async fn a_step_in_a_batch_moves_it() {
        let store = MemoryStore::new();
        let mut checkpoint = Checkpoint::load(&store, "mail").await.expect("a readable store");
        for position in [3, 4].map(|major| Position::from_parts(major, 0)) {
            let (event, condition) = checkpoint.step(position);
            let effect = NewEvent { stream: "mails".into(), event: Event::new("/mail", "mail.sent").build() };
            let batch = Batch { events: vec![effect, event] };
            let condition = Condition::Streams(vec![condition]);
            store.append(batch, condition, Durability::Accepted).await.expect("the condition holds");
            checkpoint.moved(position);
        }
        let found = Checkpoint::load(&store, "mail").await.expect("a readable store");
        assert_eq!((found.position(), found.revision), (checkpoint.position, checkpoint.revision));
    }
}
