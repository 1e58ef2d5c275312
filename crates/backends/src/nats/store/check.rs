//! Whether what is known, and what is sent before it, lets something be appended.

use std::sync::Arc;

use steadfast_core::store::{Condition, Error, Expected, Position, Revision};
use tokio::time::Instant;

use super::draft::Draft;
use super::streams::Stream;
use super::writer::Writer;

/// Why something cannot be stored now.
pub(super) enum Unfit {
    /// What is known says no; what is not known yet may say something else.
    Conflict(Error),
    Failed(Error),
}

impl From<Error> for Unfit {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Writer {
    /// Checks `condition`; nothing up to the message `clear_to` is forbidden by it, if that is some.
    pub(super) async fn check(
        &mut self,
        draft: &Draft,
        condition: &Condition,
        clear_to: &mut Option<u64>,
        until: Instant,
    ) -> Result<(), Unfit> {
        match condition {
            Condition::Any => Ok(()),
            Condition::Streams(conditions) => {
                for condition in conditions {
                    self.check_stream(draft, &condition.stream, condition.expected, until).await?;
                }
                Ok(())
            }
            Condition::NoneMatching { filter, after } => {
                let conflict = Err(Unfit::Conflict(Error::Conflict { stream: Arc::from(""), actual: None }));
                let Some(clear) = *clear_to else { return conflict };
                if draft.any(filter, *after) {
                    return conflict;
                }
                let end = self.known.end;
                if clear < end {
                    // Only what is new since the last look.
                    let after = (*after).max(Position::from_parts(clear, u64::MAX));
                    if self.access.any(filter, after, until).await? {
                        *clear_to = None;
                        return conflict;
                    }
                    *clear_to = Some(end);
                }
                Ok(())
            }
            _ => Err(Unfit::Failed(Error::Unsupported { what: "this kind of condition".to_owned() })),
        }
    }

    pub(super) async fn check_stream(
        &mut self,
        draft: &Draft,
        name: &Arc<str>,
        expected: Expected,
        until: Instant,
    ) -> Result<(), Unfit> {
        let actual = self.stream(draft, name, until).await?.revision().map(Revision);
        let holds = match expected {
            Expected::NoStream => actual.is_none(),
            Expected::Exists => actual.is_some(),
            Expected::Revision(revision) => actual == Some(revision),
        };
        let conflict = || Unfit::Conflict(Error::Conflict { stream: Arc::clone(name), actual });
        if holds { Ok(()) } else { Err(conflict()) }
    }

    /// Returns how a stream stands.
    pub(super) async fn stream(
        &mut self,
        draft: &Draft,
        name: &Arc<str>,
        until: Instant,
    ) -> Result<Stream, Error> {
        if let Some(stream) = draft.stream(name).or_else(|| self.known.streams.get(name)) {
            return Ok(stream);
        }
        // If the server knows more by now than we do, it will not store what is laid out for less.
        let stream = self.access.stream(name, until).await?;
        self.known.streams.set(name, stream);
        Ok(stream)
    }
}
