//! Violations as they are counted and told.

use crate::report::{Figure, InvariantResult};

/// How many violations a result tells in words; the rest is counted.
pub const VIOLATIONS_LISTED_MAX: usize = 50;

/// A way in which a log can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wrong {
    Lost,
    Repeated,
    Refused,
    Foreign,
    OtherKey,
    Reordered,
    Broken,
}

impl Wrong {
    const ALL: [Self; 7] = [
        Self::Lost,
        Self::Repeated,
        Self::Refused,
        Self::Foreign,
        Self::OtherKey,
        Self::Reordered,
        Self::Broken,
    ];

    /// Returns what `count` of them are, in words.
    fn counted(self, count: u64) -> String {
        let (one, more) = match self {
            Self::Lost => {
                ("acknowledged command is not in the log", "acknowledged commands are not in the log")
            }
            Self::Repeated => {
                ("command is in the log more than once", "commands are in the log more than once")
            }
            Self::Refused => ("refused command is in the log", "refused commands are in the log"),
            Self::Foreign => {
                ("entry is of a command that nobody sent", "entries are of commands that nobody sent")
            }
            Self::OtherKey => {
                ("entry has another key than was answered", "entries have another key than was answered")
            }
            Self::Reordered => ("command stands behind a later one", "commands stand behind later ones"),
            Self::Broken => ("history has a hole or a repetition", "histories have a hole or a repetition"),
        };
        format!("{count} {}", if count == 1 { one } else { more })
    }
}

/// Violations found so far.
#[derive(Debug, Default)]
pub(super) struct Violations {
    counts: [u64; Wrong::ALL.len()],
    listed: Vec<(Wrong, String)>,
}

impl Violations {
    /// Counts a violation; `sentence` is told if there is room. Every kind gets its share of the room.
    pub(super) fn add(&mut self, wrong: Wrong, sentence: impl FnOnce() -> String) {
        self.counts[wrong as usize] += 1;
        if self.counts[wrong as usize] <= VIOLATIONS_LISTED_MAX as u64 {
            self.listed.push((wrong, sentence()));
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Tells whether waiting might mend all of it: something is not there yet.
    pub(super) fn may_pass(&self) -> bool {
        self.total() == self.counts[Wrong::Lost as usize]
    }

    pub(super) fn result(mut self, head: Head, held: String) -> InvariantResult {
        let total = self.total();
        self.listed.sort_by_key(|(wrong, _)| *wrong);
        let violations: Vec<String> =
            self.listed.into_iter().map(|(_, sentence)| sentence).take(VIOLATIONS_LISTED_MAX).collect();
        let counted = Wrong::ALL.into_iter().zip(self.counts).filter(|(_, count)| *count > 0);
        let counted: Vec<String> = counted.map(|(wrong, count)| wrong.counted(count)).collect();
        let summary = match violations.first() {
            Some(first) => format!("{}; first: {first}", counted.join(", ")),
            None => held,
        };
        InvariantResult {
            name: head.name,
            kind: head.kind.to_owned(),
            holds: Some(total == 0),
            checked: head.checked,
            summary,
            violations_total: total,
            violations,
            figures: head.figures,
        }
    }
}

/// What a result says beside its violations.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) checked: u64,
    pub(super) figures: Vec<Figure>,
}

impl Head {
    /// Makes the result of an invariant of which nothing can be said.
    pub(super) fn unknown(self, why: String) -> InvariantResult {
        InvariantResult {
            name: self.name,
            kind: self.kind.to_owned(),
            holds: None,
            checked: self.checked,
            summary: why,
            violations_total: 0,
            violations: Vec::new(),
            figures: self.figures,
        }
    }
}

pub(super) fn figure(name: &str, value: usize) -> Figure {
    Figure { name: name.to_owned(), value: value as f64 }
}
