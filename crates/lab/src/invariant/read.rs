//! The system's log, read by the mapping that the document gives.

use futures::{StreamExt, TryStreamExt};
use serde_json::Value;

use super::fetch::{get, scalar};
use super::{LedgerEntry, Lookup, ReadError};
use crate::http::Client;
use crate::spec::{History, JsonPath, Log};

/// How many entries are read at most.
pub const ENTRIES_MAX: usize = 2_000_000;

/// How many histories are read at once.
const HISTORIES_AT_ONCE: usize = 16;

/// Reads the whole log, page after page, until a page is empty or names no next cursor.
///
/// # Errors
/// [`ReadError`]; what was read until then is dropped, because half a log would look like loss.
///
/// # Cancel safety
/// Dropping the future abandons the request under way.
pub async fn read_log(
    client: &Client,
    log: &Log,
    lookup: &Lookup<'_>,
) -> Result<Vec<LedgerEntry>, ReadError> {
    let paged = log.next.as_ref().filter(|_| log.http.variables().any(|(_, name)| name == "cursor"));
    let (mut entries, mut cursor) = (Vec::new(), String::new());
    loop {
        let (url, page) = get(client, &log.http, lookup, Some(("cursor", &cursor))).await?;
        let items = list(&url, &log.items, &page)?;
        for item in items {
            let wanted =
                |path: &JsonPath| scalar(path, item).ok_or_else(|| missing(&url, path, entries.len()));
            entries.push(LedgerEntry {
                position: entries.len() as u64,
                key: wanted(&log.key)?,
                command: scalar(&log.command, item),
                kind: log.kind.as_ref().map(wanted).transpose()?,
                revision: revision(&url, log.revision.as_ref(), item, entries.len())?,
            });
        }
        if entries.len() > ENTRIES_MAX {
            return Err(ReadError::TooMany { url, max: ENTRIES_MAX });
        }
        match paged.and_then(|next| scalar(next, &page)) {
            Some(next) if !items.is_empty() && next == cursor => {
                let problem = format!("the next cursor is again `{cursor}`");
                return Err(ReadError::Mapping { url, problem });
            }
            Some(next) if !items.is_empty() => cursor = next,
            _ => return Ok(entries),
        }
    }
}

/// Reads the history of each of `keys`. A key of which the system knows nothing (404) has an empty history.
///
/// # Errors
/// [`ReadError`].
///
/// # Cancel safety
/// Dropping the future abandons the requests under way.
pub async fn read_histories(
    client: &Client,
    history: &History,
    keys: &[String],
    lookup: &Lookup<'_>,
) -> Result<Vec<LedgerEntry>, ReadError> {
    let split = history.sequence.as_ref().and_then(JsonPath::split_at_each);
    let items = history.items.clone().or_else(|| split.as_ref().map(|(items, _)| items.clone()));
    let items = items.unwrap_or_else(JsonPath::root);
    let revision_at = history.revision.clone().or_else(|| split.map(|(_, revision)| revision));
    let read = futures::stream::iter(keys).map(|key| {
        let (items, revision_at) = (&items, revision_at.as_ref());
        async move {
            let (url, answer) = match get(client, &history.http, lookup, Some(("key", key))).await {
                Ok(answer) => answer,
                Err(ReadError::Status { status: 404, .. }) => return Ok(Vec::new()),
                Err(error) => return Err(error),
            };
            let mut entries = Vec::new();
            for (at, item) in list(&url, items, &answer)?.iter().enumerate() {
                entries.push(LedgerEntry {
                    position: at as u64,
                    key: key.clone(),
                    command: history.command.as_ref().and_then(|path| scalar(path, item)),
                    kind: history.kind.as_ref().and_then(|path| scalar(path, item)),
                    revision: revision(&url, revision_at, item, at)?,
                });
            }
            Ok(entries)
        }
    });
    let mut entries: Vec<LedgerEntry> = Vec::new();
    let mut histories = read.buffered(HISTORIES_AT_ONCE);
    while let Some(mut history_of_key) = histories.try_next().await? {
        entries.append(&mut history_of_key);
        if entries.len() > ENTRIES_MAX {
            return Err(ReadError::TooMany { url: history.http.as_str().to_owned(), max: ENTRIES_MAX });
        }
    }
    Ok(entries)
}

fn list<'v>(url: &str, path: &JsonPath, answer: &'v Value) -> Result<&'v [Value], ReadError> {
    let found = path.first(answer).and_then(Value::as_array);
    let problem =
        || ReadError::Mapping { url: url.to_owned(), problem: format!("there is no list at `{path}`") };
    found.map(Vec::as_slice).ok_or_else(problem)
}

fn missing(url: &str, path: &JsonPath, at: usize) -> ReadError {
    ReadError::Mapping { url: url.to_owned(), problem: format!("entry {at} has nothing at `{path}`") }
}

fn revision(url: &str, path: Option<&JsonPath>, item: &Value, at: usize) -> Result<Option<u64>, ReadError> {
    let Some(path) = path else { return Ok(None) };
    let number = path.first(item).and_then(Value::as_u64);
    number.map(Some).ok_or_else(|| missing(url, path, at))
}
