//! Sends messages right behind each other, each on the condition that the one before it stands.

use async_nats::{Client, HeaderMap, Message, StatusCode};
use bytes::Bytes;
use futures::StreamExt;
use serde::Deserialize;
use steadfast_core::EventId;

use super::access::Access;
use super::error::{Failure, Refusal};

/// How far storing messages has come.
pub(super) struct Sent {
    /// How many of them stand: the first ones.
    pub(super) stored: usize,
    /// Why the next one does not; none if all stand.
    pub(super) failure: Option<Failure>,
}

/// What the server answers to a message that it is to store.
#[derive(Deserialize)]
struct Answer {
    error: Option<Refusal>,
}

impl Access {
    /// Stores `messages` behind the message `end`, if that is the last one, in one round trip. Where one is not stored,
    /// none behind it is, at any time.
    ///
    /// The first one names the last message by its number. That would not do for those behind it: where somebody else's
    /// message has taken the place of one of ours, the next would follow on that, though it was laid out for another log.
    /// So each also names the one before it by an identity that nobody else has.
    pub(super) async fn publish(&self, client: &Client, end: u64, messages: &[(String, Bytes)]) -> Sent {
        let mut stored = 0;
        let failure = self.publish_all(client, end, messages, &mut stored).await.err();
        Sent { stored, failure }
    }

    async fn publish_all(
        &self,
        client: &Client,
        end: u64,
        messages: &[(String, Bytes)],
        stored: &mut usize,
    ) -> Result<(), Failure> {
        let mut generation = self.connector.generation();
        generation.mark_unchanged();
        let inbox = client.new_inbox();
        // For a single message not a pattern, which costs the server more.
        let all = if messages.len() > 1 { format!("{inbox}.*") } else { format!("{inbox}.0") };
        let mut answers = client.subscribe(all).await.map_err(|error| lost(&error))?;
        let sending = self.send(client, end, messages, &inbox);
        let late = || Failure::Away("no answer came in time".to_owned());
        tokio::time::timeout(self.config.answer_within.0, sending).await.map_err(|_| late())??;
        while *stored < messages.len() {
            let answer = tokio::select! {
                answer = answers.next() => answer,
                _ = generation.changed() => None,
                () = tokio::time::sleep(self.config.answer_within.0) => return Err(late()),
            };
            let answer = answer.ok_or_else(|| lost(&"the connection was lost"))?;
            let place = place(&answer).ok_or_else(|| lost(&"an answer to something else came"))?;
            if answer.status == Some(StatusCode::NO_RESPONDERS) {
                return Err(Failure::Absent("nobody serves the stream".to_owned()));
            }
            let answer: Answer = serde_json::from_slice(&answer.payload).map_err(|error| lost(&error))?;
            if let Some(refusal) = answer.error {
                return Err(refusal.into());
            }
            // Whatever stands stands behind those before it.
            *stored = (*stored).max(place + 1);
        }
        Ok(())
    }

    async fn send(
        &self,
        client: &Client,
        end: u64,
        messages: &[(String, Bytes)],
        inbox: &str,
    ) -> Result<(), Failure> {
        let mut before: Option<String> = None;
        for (place, ((subject, payload), end)) in messages.iter().zip(end..).enumerate() {
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Expected-Last-Sequence", end.to_string());
            headers.insert("Nats-Expected-Stream", self.settings.stream.as_str());
            if let Some(before) = before.take() {
                headers.insert("Nats-Expected-Last-Msg-Id", before);
            }
            if place + 1 < messages.len() {
                // The server keeps it in memory for the stream's `duplicate_window`; so only where it is needed.
                let id = EventId::generate().to_string();
                headers.insert("Nats-Msg-Id", id.as_str());
                before = Some(id);
            }
            let (subject, reply) = (subject.clone(), format!("{inbox}.{place}"));
            let sent = client.publish_with_reply_and_headers(subject, reply, headers, payload.clone());
            sent.await.map_err(|error| lost(&error))?;
        }
        Ok(())
    }
}

/// Says which message was answered.
fn place(answer: &Message) -> Option<usize> {
    answer.subject.rsplit('.').next()?.parse().ok()
}

fn lost(error: &dyn std::fmt::Display) -> Failure {
    Failure::Away(error.to_string())
}
