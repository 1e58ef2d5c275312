use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use steadfast_core::Event;
use steadfast_core::transport::Error;

use super::pgoutput::{Cell, Message, Old, Relation, Tuple};
use super::position::LogPosition;
use super::prepare::Tables;
use super::value::json_of;
use crate::change::{Change, Operation, Row, identity, subject};
use crate::postgres::error::rejected;

/// Seconds from 1970 to 2000, where PostgreSQL counts from.
const EPOCH: Duration = Duration::from_secs(946_684_800);

/// What a message comes to.
#[derive(Debug)]
pub(super) enum Step {
    /// Events, each with its place.
    Events(Vec<(LogPosition, Event)>),
    /// A transaction is complete.
    Committed(LogPosition),
}

/// Makes events of messages.
#[derive(Debug)]
pub(super) struct Assembler {
    source: Arc<str>,
    origin: String,
    epoch: u32,
    /// The watched tables; others of the publication are passed over. Under `REPLICA IDENTITY FULL` the messages do not
    /// tell the primary key.
    tables: Tables,
    relations: HashMap<u32, Relation>,
    transaction: Option<Transaction>,
}

#[derive(Debug)]
struct Transaction {
    commit: u64,
    time: SystemTime,
    micros: i64,
    next: u32,
}

impl Assembler {
    /// Makes one for the log of the server that `epoch` counts, by which places sort; `origin` names its database.
    pub(super) fn new(source: Arc<str>, origin: String, epoch: u32, tables: Tables) -> Self {
        Self { source, origin, epoch, tables, relations: HashMap::new(), transaction: None }
    }

    /// Says whether a transaction has begun and not ended.
    pub(super) fn is_within(&self) -> bool {
        self.transaction.is_some()
    }

    /// Takes the next message.
    pub(super) fn take(&mut self, message: Message) -> Result<Step, Error> {
        let changes = match message {
            Message::Begin { lsn, micros, xid: _ } => {
                let since = Duration::from_micros(u64::try_from(micros).unwrap_or(0));
                let time = UNIX_EPOCH + EPOCH + since;
                self.transaction = Some(Transaction { commit: lsn, time, micros, next: 0 });
                Vec::new()
            }
            Message::Commit { lsn, end_lsn, micros: _ } => {
                self.transaction = None;
                return Ok(Step::Committed(LogPosition::committed(self.epoch, lsn, end_lsn)));
            }
            Message::Relation(relation) => {
                self.relations.insert(relation.id, relation);
                Vec::new()
            }
            Message::Insert { relation, new } => self.inserted(relation, &new)?,
            Message::Update { relation, old, new } => self.updated(relation, old.as_ref(), &new)?,
            Message::Delete { relation, old } => self.deleted(relation, &old)?,
            Message::Truncate { relations } => {
                let truncated = |id| Ok((id, Change::new(name(self.relation(id)?), Operation::Truncate)));
                relations.into_iter().map(truncated).collect::<Result<_, Error>>()?
            }
            Message::Origin { .. } | Message::Type { .. } | Message::Emitted { .. } => Vec::new(),
        };
        let events = changes.into_iter().map(|(relation, change)| self.event(relation, &change));
        events.filter_map(Result::transpose).collect::<Result<_, _>>().map(Step::Events)
    }

    fn relation(&self, id: u32) -> Result<&Relation, Error> {
        self.relations.get(&id).ok_or_else(|| rejected("a change came of a table that was not described"))
    }

    fn inserted(&self, relation: u32, new: &Tuple) -> Result<Vec<(u32, Change)>, Error> {
        let relation = self.relation(relation)?;
        let mut change = Change::new(name(relation), Operation::Insert);
        change.key = self.key_of(relation, &row(relation, new));
        change.after = Some(row(relation, new));
        Ok(vec![(relation.id, change)])
    }

    fn updated(&self, relation: u32, old: Option<&Old>, new: &Tuple) -> Result<Vec<(u32, Change)>, Error> {
        let relation = self.relation(relation)?;
        let before = old.map(|old| old_row(relation, old));
        let (mut after, mut unchanged) = (Row::new(), Vec::new());
        for (column, cell) in relation.columns.iter().zip(new) {
            let was = || before.as_ref()?.get(&column.name).cloned();
            match json_of(column.type_id, cell).or_else(was) {
                Some(value) => {
                    after.insert(column.name.clone(), value);
                }
                None => unchanged.push(column.name.clone()),
            }
        }
        let key = self.key_of(relation, &after);
        let change = |operation, key, before, after| {
            let mut change = Change::new(name(relation), operation);
            (change.key, change.before, change.after) = (key, before, after);
            change
        };
        // A key that was not sent as it was is one that has not changed.
        let old_key = before.as_ref().map(|before| self.key_of(relation, before)).filter(|old| *old != key);
        let mut changes = match old_key {
            Some(old_key) => vec![
                change(Operation::Delete, old_key, before, None),
                change(Operation::Insert, key, None, Some(after)),
            ],
            None => vec![change(Operation::Update, key, before, Some(after))],
        };
        if let Some(last) = changes.last_mut() {
            last.unchanged = unchanged;
        }
        Ok(changes.into_iter().map(|change| (relation.id, change)).collect())
    }

    fn deleted(&self, relation: u32, old: &Old) -> Result<Vec<(u32, Change)>, Error> {
        let relation = self.relation(relation)?;
        let mut change = Change::new(name(relation), Operation::Delete);
        let before = old_row(relation, old);
        change.key = self.key_of(relation, &before);
        change.before = Some(before);
        Ok(vec![(relation.id, change)])
    }

    /// Returns the columns that a row is known by, as long as the table has them.
    fn key_columns<'a>(&'a self, relation: &'a Relation) -> Vec<&'a str> {
        let has = |name: &String| relation.columns.iter().any(|column| column.name == *name);
        let primary = self.tables.get(&relation.id).filter(|key| !key.is_empty() && key.iter().all(has));
        match (relation.replica_identity, primary) {
            (b'd' | b'f', Some(key)) => key.iter().map(String::as_str).collect(),
            // All columns are marked as the key where the whole row identifies itself: then none is.
            (b'f', None) => Vec::new(),
            // Of an index, deletions tell no other columns than its own.
            _ => relation.columns.iter().filter(|c| c.is_key).map(|c| c.name.as_str()).collect(),
        }
    }

    /// Picks the key's columns from a row.
    fn key_of(&self, relation: &Relation, row: &Row) -> Row {
        let pick = |name: &str| row.get(name).map(|value| (name.to_owned(), value.clone()));
        self.key_columns(relation).into_iter().filter_map(pick).collect()
    }

    /// Makes the event of a change, if its table is watched.
    fn event(&mut self, relation: u32, change: &Change) -> Result<Option<(LogPosition, Event)>, Error> {
        let transaction =
            self.transaction.as_mut().ok_or_else(|| rejected("a change came outside a transaction"))?;
        let position = LogPosition::event(self.epoch, transaction.commit, transaction.next);
        // Counted whether it is watched or not: the number must not depend on what this source watches.
        transaction.next += 1;
        let (time, micros) = (transaction.time, transaction.micros);
        if !self.tables.contains_key(&relation) {
            return Ok(None);
        }
        let (sequence, kind) = (position.to_string(), format!("postgresql.{}", change.operation.kind()));
        // Another server's log can have another transaction at this place: its time tells them apart.
        let id = identity(&self.origin, &format!("{sequence}-{micros:X}"));
        let columns = self.key_columns(self.relation(relation)?);
        let names = columns.into_iter().filter_map(|name| change.key.get(name));
        let event = Event::restore(id, Arc::clone(&self.source), kind, time)
            .subject(subject(&change.table, names))
            .extension("sequence", sequence)
            .json(change)
            .map_err(|error| rejected(format!("a change cannot be written as JSON: {error}")))?;
        Ok(Some((position, event)))
    }
}

fn name(relation: &Relation) -> String {
    format!("{}.{}", relation.namespace, relation.name)
}

fn row(relation: &Relation, tuple: &Tuple) -> Row {
    let values = relation.columns.iter().zip(tuple);
    values.filter_map(|(column, cell)| Some((column.name.clone(), json_of(column.type_id, cell)?))).collect()
}

/// Returns what is known of a row as it was: of a key only the columns that belong to it.
fn old_row(relation: &Relation, old: &Old) -> Row {
    match old {
        Old::Full(tuple) => row(relation, tuple),
        Old::Key(tuple) => {
            let keyed = relation.columns.iter().zip(tuple).filter(|(column, _)| column.is_key);
            keyed
                .filter(|(_, cell)| !matches!(cell, Cell::Unchanged))
                .filter_map(|(column, cell)| Some((column.name.clone(), json_of(column.type_id, cell)?)))
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::pgoutput::Column;
    use super::*;

    fn assembler(replica_identity: u8) -> Assembler {
        let column =
            |name: &str, type_id, is_key| Column { is_key, name: name.into(), type_id, modifier: -1 };
        let columns = vec![column("id", 23, true), column("body", 25, false), column("n", 23, false)];
        let relation =
            Relation { id: 1, namespace: "public".into(), name: "t".into(), replica_identity, columns };
        let tables = Tables::from([(1, vec!["id".into()])]);
        let mut assembler = Assembler::new("/postgresql/shop".into(), "origin".into(), 0, tables);
        assembler.take(Message::Relation(relation)).expect("it is taken");
        assembler.take(Message::Begin { lsn: 16, micros: 0, xid: 1 }).expect("it is taken");
        assembler
    }

    fn text(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }

    fn changes(step: Step) -> Vec<(Event, Change)> {
        let Step::Events(events) = step else { panic!("no events") };
        events.into_iter().map(|(_, event)| (event.clone(), Change::of(&event).expect("a change"))).collect()
    }

    #[test]
    fn a_large_value_that_is_not_sent_is_named_or_taken_from_the_row_as_it_was() {
        let new = vec![text("7"), Cell::Unchanged, text("2")];
        let update = Message::Update { relation: 1, old: None, new: new.clone() };
        let (event, change) = changes(assembler(b'd').take(update).expect("it is taken")).remove(0);
        assert_eq!((event.subject(), event.kind()), (Some("public.t/7"), "postgresql.row.updated"));
        assert_eq!(json!(change.after), json!({"id": 7, "n": 2}));
        assert_eq!((change.unchanged, change.before), (vec!["body".to_owned()], None));

        let old = Some(Old::Full(vec![text("7"), text("long"), text("1")]));
        let mut full = assembler(b'f');
        let (_, change) =
            changes(full.take(Message::Update { relation: 1, old, new }).expect("taken")).remove(0);
        assert_eq!(json!(change.after), json!({"id": 7, "body": "long", "n": 2}));
        assert_eq!(json!(change.before), json!({"id": 7, "body": "long", "n": 1}));
        assert_eq!((json!(change.key), change.unchanged.len()), (json!({"id": 7}), 0));
    }

    #[test]
    fn an_update_of_the_key_is_a_deletion_and_an_insertion() {
        let old = Some(Old::Key(vec![text("7"), Cell::Null, Cell::Null]));
        let new = vec![text("8"), text("b"), text("1")];
        let changes =
            changes(assembler(b'd').take(Message::Update { relation: 1, old, new }).expect("taken"));
        let told: Vec<_> =
            changes.iter().map(|(event, change)| (event.subject(), change.operation)).collect();
        let (deleted, inserted) =
            ((Some("public.t/7"), Operation::Delete), (Some("public.t/8"), Operation::Insert));
        assert_eq!(told, [deleted, inserted]);
        assert_ne!(changes[0].0.id(), changes[1].0.id());
        assert_eq!(json!(changes[0].1.before), json!({"id": 7}), "only the key is known");
    }

    #[test]
    fn a_place_is_the_same_each_time_and_sorts() {
        let insert = || Message::Insert { relation: 1, new: vec![text("7"), Cell::Null, Cell::Null] };
        let twice = |assembler: &mut Assembler| {
            let first = changes(assembler.take(insert()).expect("it is taken")).remove(0).0;
            (first, changes(assembler.take(insert()).expect("it is taken")).remove(0).0)
        };
        let (first, second) = twice(&mut assembler(b'd'));
        assert_eq!((first.clone(), second.clone()), twice(&mut assembler(b'd')));
        assert!(first.extensions()["sequence"] < second.extensions()["sequence"]);
        assert_eq!(first.time(), UNIX_EPOCH + EPOCH);
        let commit = assembler(b'd').take(Message::Commit { lsn: 16, end_lsn: 32, micros: 0 });
        assert!(matches!(commit, Ok(Step::Committed(position)) if position.end().lsn == 32));
    }

    #[test]
    fn another_server_s_log_is_another_one_also_where_it_has_the_same_places() {
        let insert = |assembler: &mut Assembler| {
            let insert = Message::Insert { relation: 1, new: vec![text("7"), Cell::Null, Cell::Null] };
            let Ok(Step::Events(mut events)) = assembler.take(insert) else { panic!("no events") };
            events.remove(0)
        };
        let (mut one, mut promoted) = (assembler(b'd'), assembler(b'd'));
        promoted.epoch = 1;
        let ((before, first), (after, again)) = (insert(&mut one), insert(&mut promoted));
        assert_eq!(first, again, "the same transaction is the same event, which an inbox recognises");
        assert!(
            before < LogPosition::committed(0, u64::MAX, 0) && LogPosition::committed(0, u64::MAX, 0) < after
        );
        promoted.take(Message::Begin { lsn: 16, micros: 5, xid: 1 }).expect("it is taken");
        assert_ne!(
            insert(&mut promoted).1.id(),
            first.id(),
            "another transaction at its place is another event"
        );
        let handled = LogPosition::committed(0, 16, 99).end();
        assert_eq!(
            (handled.of(0).lsn, handled.of(1).lsn),
            (99, 0),
            "and is confirmed to its own server only"
        );
    }

    #[test]
    fn a_table_that_is_not_watched_is_passed_over_and_counted() {
        let insert = || Message::Insert { relation: 1, new: vec![text("7"), Cell::Null, Cell::Null] };
        let mut other = assembler(b'd');
        let watched = std::mem::take(&mut other.tables);
        assert!(changes(other.take(insert()).expect("taken")).is_empty());
        other.tables = watched;
        let sequence = |assembler: &mut Assembler| {
            changes(assembler.take(insert()).expect("taken")).remove(0).0.extensions()["sequence"].clone()
        };
        let second = sequence(&mut other);
        let mut all = assembler(b'd');
        assert_eq!((sequence(&mut all) < second, sequence(&mut all)), (true, second));
    }

    #[test]
    fn a_change_that_cannot_be_understood_is_an_error() {
        let mut assembler = assembler(b'd');
        assert!(assembler.take(Message::Truncate { relations: vec![9] }).is_err());
        assembler.take(Message::Commit { lsn: 1, end_lsn: 2, micros: 0 }).expect("it is taken");
        assert!(assembler.take(Message::Truncate { relations: vec![1] }).is_err());
    }
}
