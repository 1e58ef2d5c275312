use crate::store::Expected;

/// An event, by its number in the history.
pub(super) type Tag = u64;

/// What a client asked of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    Append { tags: Vec<Tag>, expected: Option<Expected> },
    Read,
    Revision,
}

/// What it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Appended, and the last event has this revision.
    Appended(u64),
    /// The condition does not hold, and this is the revision of the newest event.
    Conflict(Option<u64>),
    /// The events of the stream, oldest first.
    Events(Vec<Tag>),
    Revision(Option<u64>),
    /// Nobody knows.
    Unknown,
}

/// A call, from its begin to its end, in ticks of one clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Operation {
    pub(super) call: Call,
    pub(super) answer: Answer,
    pub(super) begin: u64,
    pub(super) end: u64,
}

impl Operation {
    /// When it has taken effect at the latest: never, if its outcome is unknown.
    pub(super) fn latest(&self) -> u64 {
        if self.answer == Answer::Unknown { u64::MAX } else { self.end }
    }
}

/// What a stream is: a list that is only appended to.
#[derive(Debug, Clone, Default)]
pub(super) struct Model(pub(super) Vec<Tag>);

impl Model {
    pub(super) fn revision(&self) -> Option<u64> {
        (self.0.len() as u64).checked_sub(1)
    }

    /// Lets a call take effect, if the answer is what it is told then; changes nothing, if it is not.
    pub(super) fn explains(&mut self, operation: &Operation) -> bool {
        let length = self.0.len();
        let explained = match (&operation.call, &operation.answer) {
            (Call::Append { tags, expected }, answer) => {
                let told = self.append(tags, *expected);
                // One that has no effect need not have taken place.
                if *answer == Answer::Unknown { matches!(told, Answer::Appended(_)) } else { told == *answer }
            }
            (Call::Read, Answer::Events(tags)) => self.0 == *tags,
            (Call::Revision, Answer::Revision(revision)) => self.revision() == *revision,
            _ => false,
        };
        if !explained {
            self.0.truncate(length);
        }
        explained
    }

    fn append(&mut self, tags: &[Tag], expected: Option<Expected>) -> Answer {
        // A batch that stands already stays where it is, whatever the condition says by now.
        if let Some(place) = self.0.iter().position(|tag| Some(tag) == tags.last()) {
            return Answer::Appended(place as u64);
        }
        let revision = self.revision();
        let holds = match expected {
            None => true,
            Some(Expected::NoStream) => revision.is_none(),
            Some(Expected::Exists) => revision.is_some(),
            Some(Expected::Revision(expected)) => revision == Some(expected.0),
        };
        if !holds {
            return Answer::Conflict(revision);
        }
        self.0.extend(tags);
        Answer::Appended(self.0.len() as u64 - 1)
    }
}
