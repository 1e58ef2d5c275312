//! What is asked of the server, with a bound on how long, and again while it is away.

use async_nats::jetstream::stream::RawMessageErrorKind;
use async_nats::{Client, HeaderMap};
use bytes::Bytes;
use futures::StreamExt;
use serde::de::DeserializeOwned;
use steadfast_base::{Backoff, Seed};
use steadfast_core::store::{Error, Outcome};
use steadfast_core::transport::Link;
use tokio::time::Instant;

use super::Settings;
use super::error::{Failure, Refusal, away, damaged};
use super::message::Message;
use super::subject::Subjects;
use crate::nats::Config;
use crate::nats::connector::Connector;

/// The most bytes of payloads that are asked for at once.
const READ_BYTES_MAX: usize = 8 << 20;
/// What a message takes beside its payload and the name of its stream.
const HEADERS_BYTES: usize = 256;

/// The stream of a store, by way of one connection.
pub(super) struct Access {
    pub(super) connector: Connector,
    pub(super) config: Config,
    pub(super) settings: Settings,
    pub(super) subjects: Subjects,
    /// What was found when the stream was looked at.
    found: std::sync::OnceLock<Found>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// One server has the stream, and gives several messages for one request.
    pub(super) gives_many: bool,
    /// The largest message, if the stream has a limit of its own.
    pub(super) message_bytes_max: Option<usize>,
}

/// A message of the stream.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) sequence: u64,
    pub(super) payload: Bytes,
}

/// Which message is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which<'a> {
    At(u64),
    /// The newest of a subject.
    Last(&'a str),
    /// The first of a subject that is not before a sequence.
    Next(&'a str, u64),
}

/// Every subject; the server finds the last message of it at once.
pub(super) const EVERY: &str = ">";

impl Access {
    pub(super) fn new(connector: Connector, config: Config, settings: Settings) -> Self {
        let subjects = Subjects(settings.stream.clone());
        Self { connector, config, settings, subjects, found: std::sync::OnceLock::new() }
    }

    pub(super) fn found(&self, found: Found) {
        let _ = self.found.set(found);
    }

    /// Says when the patience of a call that begins now ends.
    pub(super) fn until(&self) -> Instant {
        Instant::now() + self.settings.patience.0
    }

    /// Waits for a connection.
    pub(super) async fn client(&self, until: Instant) -> Result<Client, Failure> {
        match tokio::time::timeout_at(until, self.connector.up()).await {
            Ok(client) => Ok(client?),
            Err(_) => {
                let reason = match &*self.connector.link().borrow() {
                    Link::Down { reason, .. } => reason.to_string(),
                    _ => "no connection could be made in time".to_owned(),
                };
                Err(Failure::Absent(reason))
            }
        }
    }

    /// Does `work`, which changes nothing, and does it again while the server is away.
    pub(super) async fn insist<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        doing: &'static str,
        until: Instant,
        work: impl Fn(Client) -> F,
    ) -> Result<T, Error> {
        let (mut rng, mut failures) = (Seed::random().rng(), 0);
        loop {
            let result = match self.client(until).await {
                Ok(client) => work(client).await,
                Err(failure) => Err(failure),
            };
            let failure = match result {
                Ok(result) => return Ok(result),
                Err(failure) => failure,
            };
            let delay = Backoff::default().delay(failures, &mut rng);
            failures += 1;
            if !failure.passes() || Instant::now() + delay >= until {
                return Err(failure.into_error(doing, Outcome::NotAppended));
            }
            tracing::debug!(?failure, failures, doing, "NATS does not answer, trying again");
            tokio::time::sleep(delay).await;
        }
    }

    /// Waits for an answer, for as long as one may take and the connection stands.
    async fn answered<T>(&self, asking: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let mut generation = self.connector.generation();
        generation.mark_unchanged();
        tokio::select! {
            answer = asking => answer,
            _ = generation.changed() => Err(Failure::Away("the connection was lost".to_owned())),
            () = tokio::time::sleep(self.config.answer_within.0) => {
                Err(Failure::Away("no answer came in time".to_owned()))
            }
        }
    }

    /// Asks the interface of JetStream.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        client: &Client,
        what: &str,
        body: &serde_json::Value,
    ) -> Result<T, Failure> {
        use async_nats::jetstream::response::Response;
        let context = self.context(client);
        let subject = format!("STREAM.{what}.{}", self.settings.stream);
        let answer = self.answered(async {
            context.request(subject, body).await.map_err(|error| Failure::Away(error.to_string()))
        });
        match answer.await? {
            Response::Ok(answer) => Ok(answer),
            Response::Err { error } => Err(refused(&error)),
        }
    }

    pub(super) fn context(&self, client: &Client) -> async_nats::jetstream::Context {
        let mut context = async_nats::jetstream::new(client.clone());
        context.set_timeout(self.config.answer_within.0);
        context
    }

    /// Returns a message, from whichever server leads the stream.
    pub(super) async fn message(&self, which: Which<'_>, until: Instant) -> Result<Option<Stored>, Error> {
        self.insist("reading from NATS", until, |client| async move { self.one(&client, which).await }).await
    }

    async fn one(&self, client: &Client, which: Which<'_>) -> Result<Option<Stored>, Failure> {
        let stream = self.context(client).get_stream_no_info(&self.settings.stream).await;
        let stream = stream.map_err(|error| Failure::Away(error.to_string()))?;
        let request = match which {
            Which::At(sequence) => stream.raw_message_builder().sequence(sequence),
            Which::Last(subject) => stream.raw_message_builder().last_by_subject(subject),
            Which::Next(subject, sequence) => {
                stream.raw_message_builder().sequence(sequence).next_by_subject(subject)
            }
        };
        self.answered(async {
            match request.send().await {
                Ok(found) => Ok(Some(Stored { sequence: found.sequence, payload: found.payload })),
                Err(error) => match error.kind() {
                    RawMessageErrorKind::NoMessageFound => Ok(None),
                    RawMessageErrorKind::JetStream(error) => Err(refused(&error)),
                    _ => Err(Failure::Away(error.to_string())),
                },
            }
        })
        .await
    }

    /// Says whether several messages come for one request.
    pub(super) fn gives_many(&self) -> bool {
        self.settings.read_ahead > 1 && self.found.get().is_some_and(|found| found.gives_many)
    }

    /// Returns up to `max` messages from `from` on, of one subject or of all, in their order; fewer than there are only
    /// where they are large, and none only if there is none.
    pub(super) async fn range(
        &self,
        from: u64,
        subject: Option<&str>,
        max: usize,
        until: Instant,
    ) -> Result<Vec<Stored>, Error> {
        let max = max.clamp(1, self.settings.read_ahead.max(1));
        let from = from.max(1);
        if max > 1 && self.gives_many() {
            let many = |client| async move { self.many(&client, from, subject, max).await };
            return self.insist("reading from NATS", until, many).await;
        }
        let next = self.message(Which::Next(subject.unwrap_or(EVERY), from), until).await?;
        Ok(next.into_iter().collect())
    }

    async fn many(
        &self,
        client: &Client,
        from: u64,
        subject: Option<&str>,
        max: usize,
    ) -> Result<Vec<Stored>, Failure> {
        let lost = |error: &dyn std::fmt::Display| Failure::Away(error.to_string());
        let mut body = serde_json::json!({"seq": from, "batch": max, "max_bytes": READ_BYTES_MAX});
        if let Some(subject) = subject {
            body["next_by_subj"] = subject.into();
        }
        let place = format!("$JS.API.DIRECT.GET.{}", self.settings.stream);
        self.answered(async {
            let inbox = client.new_inbox();
            let mut answers = client.subscribe(inbox.clone()).await.map_err(|error| lost(&error))?;
            let asked = client.publish_with_reply(place, inbox, body.to_string().into()).await;
            asked.map_err(|error| lost(&error))?;
            let mut found: Vec<Stored> = Vec::new();
            while let Some(answer) = answers.next().await {
                let number = |name| number(answer.headers.as_ref(), name);
                // Each says which came before it, so that none is missed.
                let last = found.last().map_or(0, |last| last.sequence);
                match answer.status.map(|status| status.as_u16()) {
                    None | Some(204) if number("Nats-Last-Sequence").unwrap_or(0) != last => {
                        return Err(Failure::Away("a message was lost on its way".to_owned()));
                    }
                    None => {
                        let sequence = number("Nats-Sequence").ok_or_else(|| lost(&"no sequence came"))?;
                        found.push(Stored { sequence, payload: answer.payload });
                    }
                    Some(204) => return Ok(found),
                    Some(404) => return Ok(Vec::new()),
                    Some(status) => return Err(Failure::Absent(format!("it answers {status}"))),
                }
            }
            Err(Failure::Away("the connection was lost".to_owned()))
        })
        .await
    }

    /// Reads what a message says.
    pub(super) fn decode(&self, stored: &Stored) -> Result<Message, Error> {
        Message::decode(&stored.payload)
            .map_err(|problem| damaged(&self.settings.stream, stored.sequence, problem))
    }

    /// Refuses payloads that the server would.
    pub(super) fn check_size(&self, client: &Client, payloads: &[(String, Bytes)]) -> Result<(), Error> {
        let headers = HEADERS_BYTES + self.settings.stream.len();
        let server = Some(client.server_info().max_payload).filter(|max| *max > 0);
        let stream = self.found.get().and_then(|found| found.message_bytes_max);
        let (Some(max), what) = (match (server, stream) {
            (server, Some(stream)) if server.is_none_or(|server| stream < server) => {
                (Some(stream), "the stream takes (`max_msg_size`)")
            }
            (server, _) => (server, "the server takes (`max_payload`)"),
        }) else {
            return Ok(());
        };
        match payloads.iter().map(|(_, payload)| payload.len() + headers).max() {
            Some(size) if size > max => {
                let reason = format!(
                    "the events of a batch in one stream take up to {size} bytes, more than the {max} that {what}"
                );
                Err(Error::Invalid { reason })
            }
            _ => Ok(()),
        }
    }

    /// Makes the error for a call whose patience has ended.
    pub(super) fn out_of_patience(doing: &'static str, outcome: Outcome) -> Error {
        away(doing, "the server has not answered in time".to_owned(), outcome)
    }
}

pub(super) fn refused(error: &async_nats::jetstream::Error) -> Failure {
    Refusal {
        code: u16::try_from(error.code()).unwrap_or(500),
        err_code: error.error_code().0,
        description: error.to_string(),
    }
    .into()
}

fn number(headers: Option<&HeaderMap>, name: &str) -> Option<u64> {
    headers?.get(name)?.as_str().parse().ok()
}
