use std::collections::HashMap;
use std::sync::Arc;

use ::redis::{RedisError, ScriptInvocation};
use bytes::Bytes;
use steadfast_core::store::{Batch, Condition, Error, Expected, Filter, Position, Revision};

use super::keys::Keys;
use super::session::VERSION;
use super::{entry, place, script};
use crate::redis::connector::{Connection, Connector};

/// How many events, and how many bytes of them, a batch may have: Redis does nothing else meanwhile.
const EVENTS_MAX: usize = 10_000;
const BYTES_MAX: usize = 64 << 20;
/// How many events one step looks at to see whether one matches.
const LOOK_MAX: usize = 64;

/// What a stream is expected to be like, as the scripts read it.
pub(super) fn expected(expected: Expected) -> i64 {
    match expected {
        Expected::NoStream => -1,
        Expected::Exists => -2,
        Expected::Revision(revision) => i64::try_from(revision.0).unwrap_or(i64::MAX),
    }
}

/// A batch and its condition, ready to be sent, also several times.
pub(super) struct Request<'b> {
    /// The streams that are named, each once.
    names: Vec<&'b str>,
    ids: Vec<[u8; 16]>,
    conditions: Vec<(usize, i64)>,
    pub(super) none: Option<(&'b Filter, Position)>,
    events: Vec<(usize, Vec<Bytes>)>,
}

/// What has come of an append.
pub(super) enum Answer {
    Appended {
        position: Position,
        revision: Revision,
    },
    Duplicate {
        position: Position,
        revision: Revision,
        /// Something was written, for which a sync can be waited for.
        touched: bool,
    },
    /// There are too many events to be looked at within one step.
    Behind,
    /// The store is gone, or of another version.
    Layout(String),
    Refused(Error),
}

impl<'b> Request<'b> {
    /// Prepares a batch, which has been checked.
    pub(super) fn new(batch: &'b Batch, condition: &'b Condition) -> Result<Self, Error> {
        let unsupported = |what: String| Err(Error::Unsupported { what });
        if batch.events.len() > EVENTS_MAX {
            return unsupported(format!("a batch of more than {EVENTS_MAX} events"));
        }
        let (mut names, mut numbers) = (Vec::new(), HashMap::new());
        let mut number = |name: &'b str| {
            *numbers.entry(name).or_insert_with(|| {
                names.push(name);
                names.len()
            })
        };
        let (mut conditions, mut none) = (Vec::new(), None);
        match condition {
            Condition::Any => {}
            Condition::Streams(streams) => {
                let wanted = streams.iter().map(|one| (number(&one.stream), expected(one.expected)));
                conditions.extend(wanted);
            }
            Condition::NoneMatching { filter, after } => none = Some((filter, *after)),
            _ => return unsupported("this kind of condition".to_owned()),
        }
        let events: Vec<_> =
            batch.events.iter().map(|new| (number(&new.stream), entry::encode(&new.event))).collect();
        let bytes: usize = events.iter().flat_map(|(_, texts)| texts).map(Bytes::len).sum();
        if bytes > BYTES_MAX {
            return unsupported(format!("a batch of more than {} MiB", BYTES_MAX >> 20));
        }
        let ids = batch.events.iter().map(|new| new.event.id().as_u128().to_be_bytes()).collect();
        Ok(Self { names, ids, conditions, none, events })
    }

    fn invocation(&self, keys: &Keys, floor: Position, after: Position) -> ScriptInvocation<'static> {
        let mut call = script::APPEND.prepare_invoke();
        for key in [keys.meta(), keys.log(), keys.next(), keys.ids(), keys.batches()] {
            call.key(key);
        }
        for name in &self.names {
            call.key(keys.index(name));
        }
        let (milliseconds, sequence) = floor.parts();
        call.arg(VERSION).arg(milliseconds).arg(sequence);
        list(&mut call, self.names.iter().map(|name| name.as_bytes()));
        list(&mut call, self.ids.iter().map(<[u8; 16]>::as_slice));
        call.arg(self.conditions.len());
        for (stream, expected) in &self.conditions {
            call.arg(*stream).arg(*expected);
        }
        match self.none {
            None => {
                call.arg("");
            }
            Some((filter, _)) => {
                call.arg(place::id(place::after(after)));
                for names in [&filter.streams, &filter.kinds, &filter.subjects] {
                    list(&mut call, names.iter().map(|name: &Arc<str>| name.as_bytes()));
                }
                call.arg(LOOK_MAX);
            }
        }
        call.arg(self.events.len());
        for (stream, texts) in &self.events {
            call.arg(*stream).arg(texts.len());
            for text in texts {
                call.arg(&text[..]);
            }
        }
        call
    }

    /// Appends it, or finds where it stands, in one step of the server. New events stand behind `floor`, and of a
    /// condition that nothing matches what stands up to `after` has been looked at.
    pub(super) async fn send(
        &self,
        connector: &Connector,
        connection: &Connection,
        keys: &Keys,
        floor: Position,
        after: Position,
    ) -> Result<Option<Answer>, RedisError> {
        let call = self.invocation(keys, floor, after);
        let send = |mut commands| async move { call.invoke_async::<Vec<String>>(&mut commands).await };
        Ok(read(&connector.run(connection, send).await?))
    }
}

fn list<'t>(call: &mut ScriptInvocation<'_>, texts: impl ExactSizeIterator<Item = &'t [u8]>) {
    call.arg(texts.len());
    for text in texts {
        call.arg(text);
    }
}

/// Reads what the script has returned; none if that is nothing it returns.
fn read(texts: &[String]) -> Option<Answer> {
    let text = |index: usize| texts.get(index).map(String::as_str);
    let revision = |index| Some(Revision(text(index)?.parse().ok()?));
    Some(match text(0)? {
        "appended" => Answer::Appended { position: place::parse(text(1)?)?, revision: revision(2)? },
        "duplicate" => Answer::Duplicate {
            position: place::parse(text(1)?)?,
            revision: revision(2)?,
            touched: text(3)? == "1",
        },
        "conflict" => {
            let actual = if text(2)? == "-1" { None } else { Some(revision(2)?) };
            Answer::Refused(Error::Conflict { stream: text(1)?.into(), actual })
        }
        "other" => {
            let reason = "the batch repeats an event of another batch".to_owned();
            Answer::Refused(Error::Invalid { reason })
        }
        "behind" => Answer::Behind,
        "layout" => Answer::Layout(text(1)?.to_owned()),
        _ => return None,
    })
}
