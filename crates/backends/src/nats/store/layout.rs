//! How a batch is laid out in messages.

use std::sync::Arc;

use steadfast_core::EventId;
use steadfast_core::store::{Batch, Error};
use tokio::time::Instant;

use super::draft::Draft;
use super::message::{Events, Message, Part};
use super::streams::Stream;
use super::writer::{Outgoing, Writer};

impl Writer {
    /// Lays out `batch`, which has been checked, to stand behind `draft`: one message, or one for each of its streams and
    /// one that makes it whole.
    pub(super) async fn lay_out(
        &mut self,
        draft: &Draft,
        batch: &Batch,
        until: Instant,
    ) -> Result<Vec<Outgoing>, Error> {
        let mut streams: Vec<Events> = Vec::new();
        for (new, at) in batch.events.iter().zip(0..) {
            let known = streams.iter().position(|events| events.stream == new.stream);
            let index = match known {
                Some(index) => index,
                None => {
                    let Stream { next, since, last } = self.stream(draft, &new.stream, until).await?;
                    let stream = Arc::clone(&new.stream);
                    streams.push(Events {
                        stream,
                        first: next,
                        since,
                        before: last,
                        part: None,
                        events: Vec::new(),
                    });
                    streams.len() - 1
                }
            };
            streams[index].events.push((at, new.event.clone()));
        }
        let parts = streams.len() as u64;
        // Another each time it is tried: what was left of the last time is of another batch.
        let (id, events, head) = (EventId::generate(), batch.events.len() as u32, draft.head);
        let subjects = &self.access.subjects;
        let mut messages: Vec<Outgoing> = Vec::with_capacity(streams.len() + 1);
        for (stream, place) in streams.into_iter().zip(0..) {
            let part = (parts > 1).then_some(Part { batch: id, ahead: parts - place, events, head });
            messages.push((subjects.stream(&stream.stream), Message::Events(Events { part, ..stream })));
        }
        if parts > 1 {
            messages.push((subjects.common(), Message::Whole { batch: id, parts, events }));
        }
        Ok(messages)
    }
}
