use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use futures::TryStreamExt;

use crate::store::{
    Direction, Error, EventStore, Expected, NewEvent, Query, Revision, StoredEvent, StreamCondition,
};
use crate::{Event, EventId};

/// The type of the events that mark what was handled.
const KIND: &str = "steadfast.inbox.handled";

/// What is remembered of one stream of markers: the newest `window` events.
#[derive(Debug)]
pub(super) struct Partition {
    stream: Arc<str>,
    window: usize,
    ids: HashSet<EventId>,
    by_age: VecDeque<EventId>,
    revision: Option<Revision>,
    /// The stream may hold markers that are not remembered here.
    stale: bool,
}

impl Partition {
    pub(super) fn new(stream: Arc<str>, window: usize) -> Self {
        Self { stream, window, ids: HashSet::new(), by_age: VecDeque::new(), revision: None, stale: true }
    }

    pub(super) fn stream(&self) -> &str {
        &self.stream
    }

    pub(super) fn knows(&self, id: EventId) -> bool {
        self.ids.contains(&id)
    }

    /// Notes that the stream may have been moved by somebody else, or by an append whose outcome is unknown.
    pub(super) fn doubt(&mut self) {
        self.stale = true;
    }

    /// Notes that all markers are remembered.
    pub(super) fn trust(&mut self) {
        self.stale = false;
    }

    /// Reads what is not remembered yet of the newest markers.
    pub(super) async fn refresh(&mut self, store: &dyn EventStore) -> Result<(), Error> {
        if !self.stale {
            return Ok(());
        }
        let query = Query {
            direction: Direction::Backward,
            limit: Some(self.window as u64),
            ..Query::stream(Arc::clone(&self.stream))
        };
        let known = self.revision;
        let mut markers = store.read(query);
        let mut newer = Vec::new();
        while let Some(marker) = markers.try_next().await? {
            if Some(marker.revision) <= known {
                break;
            }
            newer.push((marker.revision, parse(&marker)?));
        }
        for (revision, id) in newer.into_iter().rev() {
            self.remember(id, revision);
        }
        self.trust();
        Ok(())
    }

    /// Returns the marker of `id`, and the condition that nobody else has appended one.
    pub(super) fn mark(&self, id: EventId) -> (NewEvent, StreamCondition) {
        let event = Event::new("/steadfast/inbox", KIND).data("text/plain", id.to_string());
        let expected = self.revision.map_or(Expected::NoStream, Expected::Revision);
        let condition = StreamCondition { stream: Arc::clone(&self.stream), expected };
        (NewEvent { stream: Arc::clone(&self.stream), event }, condition)
    }

    /// Notes that the marker of `id` stands at `revision`.
    pub(super) fn remember(&mut self, id: EventId, revision: Revision) {
        if self.by_age.len() == self.window
            && let Some(oldest) = self.by_age.pop_front()
        {
            self.ids.remove(&oldest);
        }
        self.ids.insert(id);
        self.by_age.push_back(id);
        self.revision = Some(revision);
    }
}

fn parse(marker: &StoredEvent) -> Result<EventId, Error> {
    let text = std::str::from_utf8(marker.event.data()).unwrap_or_default();
    text.parse().map_err(|_| Error::Damaged {
        place: format!("stream `{}`, revision {}", marker.stream, marker.revision),
        problem: "it holds no event id".to_owned(),
    })
}
