//! What was sent to a log, what it answered, and what must therefore be found.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::Poll;

use steadfast_core::store::{
    Appended, Batch, Condition, Deleted, Durability, Error, Expected, Outcome, StoredEvent,
};

use super::life::Log;
use super::model::Model;

/// An append or a deletion that was sent, and what is known of it.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) what: What,
    pub(super) condition: Condition,
    /// Those that are written together share a number.
    commit: u64,
    /// How safe it was said to be.
    level: Option<Durability>,
}

#[derive(Debug)]
pub(super) enum What {
    Append(Batch),
    Delete(Arc<str>),
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

/// What a log holds after it was opened.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) events: Vec<StoredEvent>,
    pub(super) head: u64,
}

/// All that was sent to one log.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) sent: Vec<Sent>,
    /// The numbers of those that the log has taken, in order: it must be found to hold the first of them. Those of which
    /// nobody knows whether it has taken them are there too.
    order: Vec<usize>,
    /// The log as it should be by now, written or not.
    pub(super) now: Model,
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
        self.add_sent(What::Append(batch), condition)
    }

    fn add_sent(&mut self, what: What, condition: Condition) -> usize {
        self.sent.push(Sent { what, condition, commit: 0, level: None });
        self.sent.len() - 1
    }

    fn batch(&self, number: usize) -> Batch {
        match &self.sent[number].what {
            What::Append(batch) => batch.clone(),
            What::Delete(stream) => panic!("the deletion of {stream} is not an append"),
        }
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
            let (batch, condition) = (self.batch(*number), self.sent[*number].condition.clone());
            let mut append = Box::pin(log.append(batch.clone(), condition, *level));
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
                self.now.append(&batch.events);
                self.sent[*number].commit = self.commit;
                self.order.push(*number);
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
            let (batch, condition) = (self.batch(number), self.sent[number].condition.clone());
            let again = log.append(batch, condition, Durability::Written).await;
            self.settle(number, Durability::Written, self.due(number), &again);
        }
    }

    /// Deletes a stream and sees what the log answers.
    pub(super) async fn delete(
        &mut self,
        log: &Log,
        stream: &Arc<str>,
        expected: Option<Expected>,
        level: Durability,
    ) {
        self.refuses = self.failed;
        let holds = expected.is_none_or(|expected| self.now.is_as(stream, expected));
        let result = log.delete(stream, expected, level).await;
        match &result {
            Ok(Deleted { events, achieved }) => {
                assert!(holds && !self.refuses, "{stream} was deleted");
                assert!(*achieved >= level, "{level} was asked for and {achieved} achieved");
                assert_eq!(*events, self.now.delete(stream), "events of {stream}");
            }
            Err(Error::Conflict { actual, .. }) => {
                assert!(!holds && !self.refuses, "{stream} is as {expected:?}");
                assert_eq!(actual.map(|revision| revision.0), self.now.revision(stream));
                return;
            }
            // It needed another segment, which could not be made: nothing was queued, and the log goes on.
            Err(Error::Full | Error::Io { doing: "preparing the next segment of the log", .. })
                if !self.refuses =>
            {
                return;
            }
            Err(error) => {
                self.failed = true;
                if self.refuses || error.outcome() != Outcome::Unknown || self.now.revision(stream).is_none()
                {
                    return;
                }
            }
        }
        self.commit += 1;
        let synced = result.is_ok() && level >= Durability::Durable;
        let deletes_any = !matches!(result, Ok(Deleted { events: 0, .. }));
        if deletes_any {
            let condition =
                expected.map_or(Condition::Any, |expected| Condition::stream(Arc::clone(stream), expected));
            let number = self.add_sent(What::Delete(Arc::clone(stream)), condition);
            (self.sent[number].commit, self.sent[number].level) = (self.commit, result.ok().map(|_| level));
            self.order.push(number);
        }
        if synced {
            self.synced.insert(self.commit);
        }
    }

    /// What was deleted has been erased, or segments have been archived, or that has failed: nothing else changes.
    pub(super) fn rewritten(&mut self, result: &Result<(), Error>) {
        match result {
            Ok(()) | Err(Error::Io { .. } | Error::Full) => {}
            Err(Error::Poisoned) => self.failed = true,
            Err(error) => panic!("{error}, while segments are written anew"),
        }
    }

    fn due(&self, number: usize) -> Due {
        let (batch, condition) = (self.batch(number), &self.sent[number].condition);
        let (id, count) = (batch.events[0].event.id(), batch.events.len());
        let slots = &self.now.slots;
        match slots.iter().position(|slot| slot.new.event.id() == id) {
            Some(at) => Due::Duplicate((at + count) as u64),
            None if self.now.holds(condition) => Due::Added((slots.len() + count) as u64),
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
                let was_durable = sent.level >= Some(Durability::Durable)
                    || self.synced.range(sent.commit..).next().is_some();
                sent.level = sent.level.max(Some(*achieved));
                if *achieved >= Durability::Durable && !*duplicate {
                    self.synced.insert(sent.commit);
                } else if *achieved >= Durability::Durable && !was_durable {
                    // What is repeated and was not durable is synced with the newest commit, which it is not part of.
                    self.synced.insert(self.commit);
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
                if matches!(due, Due::Duplicate(_)) && sent.level.is_some() && !matches!(error, Error::Closed)
                {
                    assert_eq!(error.outcome(), Outcome::Unknown, "{sent:?} was taken, and now {error}");
                }
                self.failed = true;
                let (is_in, added) = (self.order.contains(&number), matches!(due, Due::Added(_)));
                if error.outcome() == Outcome::Unknown && added && !is_in {
                    self.order.push(number);
                } else if error.outcome() == Outcome::NotAppended && added && sent.level.is_none() {
                    self.order.retain(|taken| *taken != number);
                }
            }
        }
    }

    /// How many the log has taken by now.
    pub(super) fn count(&self) -> usize {
        self.order.len()
    }

    /// The disk has lied: what was promised of those taken after the first `kept` was promised in vain. Returns how many
    /// there are up to the last that was said to be durable.
    pub(super) fn break_promises(&mut self, kept: usize) -> usize {
        let mut durable = kept;
        for (at, number) in self.order.iter().enumerate().skip(kept) {
            let level = &mut self.sent[*number].level;
            if *level >= Some(Durability::Durable) {
                durable = at + 1;
            }
            *level = level.map(|_| Durability::Accepted);
        }
        durable
    }

    /// The log was closed without an error: all that it took is durable.
    pub(super) fn closed(&mut self) {
        for number in &self.order {
            let level = &mut self.sent[*number].level;
            *level = level.map(|_| Durability::Durable);
        }
    }

    /// Compares the log with all that was sent, and settles what was unknown. What was said to be `safe` must be
    /// there.
    pub(super) fn check(&mut self, found: &Found, safe: Durability) {
        let Some((kept, now)) = self.find(found) else {
            panic!("{found:?} is not what was taken: {:?}", self.taken());
        };
        for number in self.order.split_off(kept) {
            let sent = &mut self.sent[number];
            assert!(sent.level.is_none_or(|level| level < safe), "{sent:?} is lost");
            sent.level = None;
        }
        for number in &self.order {
            // What was found when the log was opened has been made durable.
            self.sent[*number].level = Some(Durability::Durable);
        }
        (self.now, self.failed) = (now, false);
    }

    /// Says how many of those taken a log holds, and how it stands then; none if it is not what was taken.
    fn find(&self, found: &Found) -> Option<(usize, Model)> {
        let mut model = Model::default();
        for (kept, number) in self.order.iter().enumerate() {
            if model.is(&found.events, found.head) {
                return Some((kept, model));
            }
            let Sent { what, condition, .. } = &self.sent[*number];
            assert!(model.holds(condition), "{what:?} stands where its condition fails");
            match what {
                What::Append(batch) => model.append(&batch.events),
                What::Delete(stream) => {
                    model.delete(stream);
                }
            }
        }
        model.is(&found.events, found.head).then_some((self.order.len(), model))
    }

    fn taken(&self) -> Vec<&Sent> {
        self.order.iter().map(|number| &self.sent[*number]).collect()
    }

    /// Checks what was found after one bit of `file` was flipped: an error that tells where, or nothing missing
    /// but what nobody can know to have been there. To be called before [`History::check`].
    pub(super) fn check_flipped(
        &self,
        flipped: Result<Found, Error>,
        whole: &Found,
        (file, byte, archived): (&str, u64, bool),
        closed: bool,
    ) {
        let found = match flipped {
            Ok(found) => found,
            Err(Error::Damaged { place, .. }) => {
                assert!(place.contains(file), "{place}, though the flipped bit is in {file}");
                let named = place.rsplit(' ').next().and_then(|at| at.parse::<u64>().ok());
                assert!(
                    archived || named.is_some_and(|named| named <= byte),
                    "{place}, though it was byte {byte}"
                );
                return;
            }
            Err(Error::Unsupported { .. }) if byte == 8 => return,
            Err(error) => panic!("{error}, after a bit of byte {byte} of {file} was flipped"),
        };
        let place = |found: &Found| self.find(found).map(|(kept, _)| kept);
        let (Some(whole), Some(kept)) = (place(whole), place(&found)) else {
            panic!("byte {byte} of {file}: what is found is not what was there")
        };
        assert!(kept <= whole, "byte {byte} of {file}: more is found than was there");
        assert!(!closed || whole == kept, "byte {byte} of {file}: damage was taken for a torn tail");
        let mut lost: Vec<u64> = self.order[kept..whole]
            .iter()
            .map(|number| &self.sent[*number])
            .filter(|sent| sent.level >= Some(Durability::Durable))
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
