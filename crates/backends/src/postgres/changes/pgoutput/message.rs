/// A message, as far as it concerns changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Message {
    /// A transaction that has been committed begins; `lsn` is that of its commit.
    Begin { lsn: u64, micros: i64, xid: u32 },
    /// Its end; `end_lsn` is where the next one can begin.
    Commit { lsn: u64, end_lsn: u64, micros: i64 },
    /// The transaction came to this server from another one.
    Origin { lsn: u64, name: String },
    /// Describes a table before its first change, and when it has changed.
    Relation(Relation),
    /// Describes a type that is not built in.
    Type { id: u32, namespace: String, name: String },
    /// A row was inserted.
    Insert { relation: u32, new: Tuple },
    /// A row was updated.
    Update { relation: u32, old: Option<Old>, new: Tuple },
    /// A row was deleted.
    Delete { relation: u32, old: Old },
    /// Tables were emptied.
    Truncate { relations: Vec<u32> },
    /// What an application wrote into the log by `pg_logical_emit_message`.
    Emitted { prefix: String },
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Relation {
    pub(in super::super) id: u32,
    pub(in super::super) namespace: String,
    pub(in super::super) name: String,
    pub(in super::super) replica_identity: u8,
    pub(in super::super) columns: Vec<Column>,
}

/// A column; `is_key` if it belongs to the replica identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Column {
    pub(in super::super) is_key: bool,
    pub(in super::super) name: String,
    pub(in super::super) type_id: u32,
    pub(in super::super) modifier: i32,
}

/// The values of a row, in the order of the table's columns.
pub(in super::super) type Tuple = Vec<Cell>;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Cell {
    Null,
    /// A large value that was not changed and is not sent.
    Unchanged,
    Text(String),
    Binary(Vec<u8>),
}

/// The row as it was: of the replica identity only, or all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Old {
    Key(Tuple),
    Full(Tuple),
}
