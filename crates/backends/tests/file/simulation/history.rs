//! What was sent to a log, what it answered, and what must therefore be found.

use std::collections::BTreeSet;
use std::task::Poll;

use steadfast_core::EventId;
use steadfast_core::store::{
    Appended, Batch, Condition, Durability, Error, Expected, NewEvent, Outcome, Revision, StoredEvent,
};

use super::life::Log;

/// A batch that was sent, and what is known of it.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) batch: Batch,
    pub(super) condition: Condition,
    /// Those that are written together share a number.
    commit: u64,
    fate: Fate,
    /// How safe it was said to be.
    level: Option<Durability>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Its last event was said to be at this position.
    There(u64),
    /// It must not be there, now or later.
    Absent,
    /// It may be there.
    Unknown,
}

/// What the log must answer, as long as no write has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Its last event gets this position.
    Added(u64),
    /// It is known, and its last event stands here.
    Duplicate(u64),
    Conflict,
}

/// All that was sent to one log.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) sent: Vec<Sent>,
    /// The log as it should be by now, written or not.
    pub(super) now: Vec<NewEvent>,
    /// A write or sync has failed, and it had before what is being sent was.
    failed: bool,
    refuses: bool,
    commit: u64,
    /// The commits that ended with a sync: each made all durable up to itself.
    synced: BTreeSet<u64>,
}

impl History {
    /// Adds a batch that is going to be sent, and returns its number.
    pub(super) fn add(&mut self, batch: Batch, condition: Condition) -> usize {
        self.sent.push(Sent { batch, condition, commit: 0, fate: Fate::Absent, level: None });
        self.sent.len() - 1
    }

    /// Sends batches and sees what the log answers. With a gate, the first is one commit and the others share
    /// one; without, there is one batch.
    pub(super) async fn send(&mut self, log: &Log, batches: &[(usize, Durability)]) {
        let grouped = batches.len() > 1;
        self.refuses = self.failed;
        if grouped {
            log.gate.close();
        }
        let (mut waiting, mut last_queued, mut taken) = (Vec::new(), None, 0);
        for (number, level) in batches {
            let due = self.due(*number);
            let Sent { batch, condition, .. } = &self.sent[*number];
            let mut append = Box::pin(log.append(batch.clone(), condition.clone(), *level));
            let first = if grouped { futures::poll!(&mut append) } else { Poll::Ready((&mut append).await) };
            let queued = !matches!(first, Poll::Ready(Err(_))) && matches!(due, Due::Added(_));
            if (queued || first.is_pending()) && taken < 2 {
                self.commit += 1;
                taken += 1;
                // The writer takes the first alone, and all others together when it is back.
                if grouped && taken == 1 {
                    log.gate.await_somebody();
                }
            }
            if queued {
                last_queued = Some(*number);
                self.now.extend(batch.events.iter().cloned());
                self.sent[*number].commit = self.commit;
            }
            waiting.push((*number, *level, due, append, first));
        }
        let mut later = Vec::new();
        for (number, level, due, append, first) in waiting {
            match first {
                // What was answered at once was answered before the writer could fail.
                Poll::Ready(result) => self.settle(number, level, due, &result),
                Poll::Pending => later.push((number, level, due, append)),
            }
        }
        log.gate.open();
        for (number, level, due, append) in later {
            let result = append.await;
            self.settle(number, level, due, &result);
        }
        // Nobody waits for what is merely accepted, but what happens next must not depend on how far it is.
        if let Some(number) = last_queued.filter(|_| grouped && !self.failed) {
            let Sent { batch, condition, .. } = &self.sent[number];
            let again = log.append(batch.clone(), condition.clone(), Durability::Written).await;
            self.settle(number, Durability::Written, self.due(number), &again);
        }
    }

    fn due(&self, number: usize) -> Due {
        let Sent { batch, condition, .. } = &self.sent[number];
        let (id, count) = (batch.events[0].event.id(), batch.events.len());
        match self.now.iter().position(|new| new.event.id() == id) {
            Some(at) => Due::Duplicate((at + count) as u64),
            None if holds(condition, &self.now) => Due::Added((self.now.len() + count) as u64),
            None => Due::Conflict,
        }
    }

    fn settle(&mut self, number: usize, asked: Durability, due: Due, result: &Result<Appended, Error>) {
        let sent = &mut self.sent[number];
        match result {
            Ok(Appended { position, achieved, duplicate, .. }) => {
                assert!(!self.refuses, "{sent:?} was taken after a failure");
                assert!(*achieved >= asked, "{asked} was asked for and {achieved} achieved");
                let position = position.parts().0;
                let told = if *duplicate { Due::Duplicate(position) } else { Due::Added(position) };
                assert_eq!(told, due, "{sent:?}");
                sent.fate = Fate::There(position);
                sent.level = sent.level.max(Some(*achieved));
                if *achieved >= Durability::Durable {
                    // A batch that is repeated may have been synced with the newest commit, which it is not part of.
                    self.synced.insert(if *duplicate { self.commit } else { sent.commit });
                }
            }
            Err(Error::Conflict { .. }) => {
                assert!(!self.refuses, "a log that has failed refuses all");
                assert_eq!(due, Due::Conflict, "{sent:?}");
            }
            // Looking whether the condition holds failed, and nothing was written.
            Err(Error::Io { doing: "reading the log", outcome, .. }) => {
                assert_eq!(*outcome, Outcome::NotAppended);
            }
            Err(error) => {
                if self.refuses && !matches!(due, Due::Duplicate(_)) {
                    assert!(
                        matches!(error, Error::Poisoned | Error::Io { .. } | Error::Full),
                        "{error}: a log that has failed refuses all"
                    );
                }
                self.failed = true;
                let possible = error.outcome() == Outcome::Unknown && due != Due::Conflict;
                if possible && !matches!(sent.fate, Fate::There(_)) {
                    sent.fate = Fate::Unknown;
                }
            }
        }
    }

    /// The log was closed without an error: all that it took is durable.
    pub(super) fn closed(&mut self) {
        for sent in &mut self.sent {
            if matches!(sent.fate, Fate::There(_)) {
                sent.level = Some(Durability::Durable);
            }
        }
    }

    /// Compares the log with all that was sent, and settles what was unknown. What was said to be `safe` must be
    /// there.
    pub(super) fn check(&mut self, found: &[StoredEvent], safe: Durability) {
        check_numbers(found);
        self.now = found
            .iter()
            .map(|stored| NewEvent { stream: stored.stream.clone(), event: stored.event.clone() })
            .collect();
        self.failed = false;
        let mut known = 0;
        for sent in &mut self.sent {
            let ids: Vec<EventId> = sent.batch.events.iter().map(|new| new.event.id()).collect();
            let Some(at) = found.iter().position(|stored| stored.event.id() == ids[0]) else {
                let promised = sent.level.is_some_and(|level| level >= safe);
                assert!(!promised, "{sent:?} is lost");
                assert!(!found.iter().any(|stored| ids.contains(&stored.event.id())), "a part of {sent:?}");
                (sent.fate, sent.level) = (Fate::Absent, None);
                continue;
            };
            let last = (at + ids.len()) as u64;
            assert_ne!(sent.fate, Fate::Absent, "{sent:?} has appeared");
            assert!(matches!(sent.fate, Fate::Unknown) || sent.fate == Fate::There(last), "{sent:?} moved");
            let there = self.now.get(at..last as usize);
            assert_eq!(there, Some(&sent.batch.events[..]), "batches are whole");
            assert!(holds(&sent.condition, &self.now[..at]), "{sent:?} stands where its condition fails");
            // What was found when the log was opened has been made durable.
            (sent.fate, sent.level) = (Fate::There(last), Some(Durability::Durable));
            known += ids.len();
        }
        assert_eq!(known, found.len(), "nothing is there that nobody sent");
    }

    /// Checks what was found after one bit of `file` was flipped: an error that tells where, or nothing missing
    /// but what nobody can know to have been there. To be called before [`History::check`].
    pub(super) fn check_flipped(
        &self,
        flipped: Result<Vec<StoredEvent>, Error>,
        whole: &[StoredEvent],
        (file, byte): (&str, u64),
        closed: bool,
    ) {
        let found = match flipped {
            Ok(found) => found,
            Err(Error::Damaged { place, .. }) => {
                assert!(place.contains(file), "{place}, though the flipped bit is in {file}");
                let named = place.rsplit(' ').next().and_then(|at| at.parse::<u64>().ok());
                assert!(named.is_some_and(|named| named <= byte), "{place}, though it was byte {byte}");
                return;
            }
            Err(Error::Unsupported { .. }) if byte == 8 => return,
            Err(error) => panic!("{error}, after a bit of byte {byte} of {file} was flipped"),
        };
        assert!(whole.starts_with(&found), "byte {byte} of {file}: what is found is not what was there");
        assert!(
            !closed || whole.len() == found.len(),
            "byte {byte} of {file}: damage was taken for a torn tail"
        );
        let is_there = |events: &[StoredEvent], sent: &Sent| {
            events.iter().any(|stored| stored.event.id() == sent.batch.events[0].event.id())
        };
        let mut lost: Vec<u64> = self
            .sent
            .iter()
            .filter(|sent| sent.level >= Some(Durability::Durable))
            .filter(|sent| is_there(whole, sent) && !is_there(&found, sent))
            .map(|sent| self.synced.range(sent.commit..).next().copied().unwrap_or(self.commit))
            .collect();
        lost.dedup();
        // Of what the newest sync made durable nothing behind it tells.
        assert!(
            lost.len() <= 1,
            "byte {byte} of {file}: what the syncs {lost:?} made durable was dropped silently"
        );
    }
}

/// Positions and revisions count without holes.
fn check_numbers(found: &[StoredEvent]) {
    for (at, stored) in found.iter().enumerate() {
        assert_eq!(stored.position.parts().0, at as u64 + 1, "positions have no holes");
        let before = found[..at].iter().filter(|earlier| earlier.stream == stored.stream).count();
        assert_eq!(stored.revision, Revision(before as u64), "revisions have no holes");
    }
}

/// Says whether a condition holds for what is appended behind `log`.
fn holds(condition: &Condition, log: &[NewEvent]) -> bool {
    match condition {
        Condition::Streams(conditions) => conditions.iter().all(|condition| {
            let count = log.iter().filter(|new| new.stream == condition.stream).count() as u64;
            match condition.expected {
                Expected::NoStream => count == 0,
                Expected::Exists => count > 0,
                Expected::Revision(Revision(revision)) => Some(count) == revision.checked_add(1),
            }
        }),
        Condition::NoneMatching { filter, after } => {
            let after = (after.parts().0 as usize).min(log.len());
            !log[after..].iter().any(|new| filter.matches(&new.stream, &new.event))
        }
        _ => true,
    }
}
