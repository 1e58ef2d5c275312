use rusqlite::{Connection, OptionalExtension, Row, params};
use steadfast_core::transport::Start;

/// How many rows one statement deletes at most, so that no writer waits for long.
const DELETED_AT_ONCE: i64 = 5_000;

/// A row of the change table.
pub(super) struct Recorded {
    pub(super) seq: i64,
    pub(super) at: i64,
    pub(super) table: String,
    pub(super) operation: String,
    pub(super) key: String,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

/// Where a group stands.
pub(super) struct Group {
    pub(super) position: i64,
    pub(super) lost: bool,
}

pub(super) fn origin(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row("SELECT value FROM steadfast_meta WHERE name = 'origin'", [], |row| row.get(0))
}

/// Returns where the group stands, after noting it if it is new.
pub(super) fn join(connection: &Connection, group: &str, start: Start) -> rusqlite::Result<Group> {
    let begin = match start {
        Start::Oldest => "0",
        Start::New => "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'steadfast_changes'), 0)",
    };
    let sql = format!("INSERT OR IGNORE INTO steadfast_groups (name, position) VALUES (?1, {begin})");
    if find(connection, group)?.is_none() {
        connection.execute(&sql, [group])?;
    }
    find(connection, group)?.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

fn find(connection: &Connection, group: &str) -> rusqlite::Result<Option<Group>> {
    let sql = "SELECT position, lost FROM steadfast_groups WHERE name = ?1";
    connection
        .query_row(sql, [group], |row| Ok(Group { position: row.get(0)?, lost: row.get(1)? }))
        .optional()
}

/// Says whether the group was given up. One that was forgotten was not.
pub(super) fn is_lost(connection: &Connection, group: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT lost FROM steadfast_groups WHERE name = ?1";
    Ok(connection.prepare_cached(sql)?.query_row([group], |row| row.get(0)).optional()?.unwrap_or(false))
}

/// Counts the changes that the group has not handled, of all watched tables; `None` if there is no such group.
pub(super) fn backlog(connection: &Connection, group: &str) -> rusqlite::Result<Option<u64>> {
    let Some(Group { position, .. }) = find(connection, group)? else { return Ok(None) };
    let sql = "SELECT count(*) FROM steadfast_changes WHERE seq > ?1";
    let count: i64 = connection.query_row(sql, [position], |row| row.get(0))?;
    Ok(Some(u64::try_from(count).unwrap_or(0)))
}

pub(super) fn forget(connection: &Connection, group: &str) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM steadfast_groups WHERE name = ?1", [group]).map(|_| ())
}

/// Returns up to `max` changes after `position`, in order.
pub(super) fn read(connection: &Connection, position: i64, max: usize) -> rusqlite::Result<Vec<Recorded>> {
    let sql = "SELECT seq, at, tbl, operation, row_key, before, after FROM steadfast_changes \
               WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    connection.prepare_cached(sql)?.query_map(params![position, max], recorded)?.collect()
}

fn recorded(row: &Row<'_>) -> rusqlite::Result<Recorded> {
    // A text of SQLite need not be UTF-8.
    let text = |index| -> rusqlite::Result<Option<String>> {
        let value = row.get_ref(index)?;
        Ok(value.as_bytes_or_null()?.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
    };
    Ok(Recorded {
        seq: row.get(0)?,
        at: row.get(1)?,
        table: row.get(2)?,
        operation: row.get(3)?,
        key: text(4)?.unwrap_or_default(),
        before: text(5)?,
        after: text(6)?,
    })
}

/// Notes that the group has handled all up to `position`.
pub(super) fn confirm(connection: &Connection, group: &str, position: i64) -> rusqlite::Result<()> {
    let sql = "UPDATE steadfast_groups SET position = max(position, ?2) WHERE name = ?1";
    connection.prepare_cached(sql)?.execute(params![group, position]).map(|_| ())
}

/// Gives up groups that are further behind than `backlog_max`, except `own`, and deletes what all the others have
/// handled but the newest `keep`. Returns whether there is more to delete.
pub(super) fn prune(
    connection: &Connection,
    own: &str,
    keep: u64,
    backlog_max: u64,
) -> rusqlite::Result<bool> {
    let (keep, backlog_max) = (clamp(keep), clamp(backlog_max));
    let sql = "UPDATE steadfast_groups SET lost = 1 WHERE lost = 0 AND name <> ?1 AND position < \
               (SELECT coalesce(max(seq), 0) FROM steadfast_changes) - ?2";
    let given_up = connection.prepare_cached(sql)?.execute(params![own, backlog_max])?;
    if given_up > 0 {
        tracing::warn!(given_up, backlog_max, "groups were given up, for they are too far behind");
    }
    let sql = "DELETE FROM steadfast_changes WHERE seq <= min(\
               (SELECT min(position) FROM steadfast_groups WHERE lost = 0) - ?1, \
               (SELECT min(seq) FROM steadfast_changes) + ?2)";
    let deleted = connection.prepare_cached(sql)?.execute(params![keep, DELETED_AT_ONCE])?;
    Ok(i64::try_from(deleted).unwrap_or(0) > DELETED_AT_ONCE)
}

fn clamp(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Returns two numbers of which one changes when another connection has changed data, the other when the schema has
/// changed.
pub(super) fn versions(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    let pragma = |sql: &str| connection.prepare_cached(sql)?.query_row([], |row| row.get(0));
    Ok((pragma("PRAGMA data_version")?, pragma("PRAGMA schema_version")?))
}
