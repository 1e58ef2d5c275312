use futures::{StreamExt, TryStreamExt};
use serde_json::{Value, json};
use steadfast_backends::file::FileLogReader;
use steadfast_core::store::{Direction, EventStore, Filter, Position, Query, StoredEvent};
use steadfast_lab::report::Outcome;

use super::failure;
use crate::arguments::{Format, Tail};
use crate::{Failure, print};

/// How many events are shown unless told otherwise.
const NUMBER: u64 = 10;
/// How much of an event's data people are shown.
const SHOWN_MAX: usize = 120;

pub(super) fn run(arguments: &Tail) -> Result<Outcome, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Failure::internal)?.block_on(show(arguments))
}

async fn show(arguments: &Tail) -> Result<Outcome, Failure> {
    let folder = &arguments.log.folder;
    let failed = |error| failure(folder, &error);
    let log = FileLogReader::open(folder).map_err(failed)?;
    let shared = |names: &[String]| names.iter().map(|name| name.as_str().into()).collect();
    let filter =
        Filter { streams: shared(&arguments.stream), kinds: shared(&arguments.kind), ..Filter::default() };
    let head = log.head().await.map_err(failed)?;
    let mut last = head;
    let line = |stored: &StoredEvent| line(stored, arguments.log.format);
    if let Some(from) = arguments.from {
        let from = Position::from_parts(from.saturating_sub(1), 0);
        let query =
            Query { filter: filter.clone(), from: Some(from), limit: arguments.number, ..Query::default() };
        let mut events = log.read(query);
        last = last.max(from);
        while let Some(stored) = events.try_next().await.map_err(failed)? {
            last = last.max(stored.position);
            if !line(&stored) {
                return Ok(Outcome::Pass);
            }
        }
    } else {
        let (limit, direction) = (Some(arguments.number.unwrap_or(NUMBER)), Direction::Backward);
        // What comes after the head is left to the subscription.
        let from = Some(Position::from_parts(head.parts().0 + 1, 0));
        let query = Query { filter: filter.clone(), from, limit, direction };
        let events: Vec<StoredEvent> = log.read(query).try_collect().await.map_err(failed)?;
        if !events.iter().rev().all(line) {
            return Ok(Outcome::Pass);
        }
    }
    if arguments.follow {
        let mut events = log.subscribe(filter, last);
        while let Some(stored) = events.next().await {
            if !line(&stored.map_err(failed)?) {
                break;
            }
        }
    }
    Ok(Outcome::Pass)
}

/// Prints an event, and says no when nobody listens any more.
fn line(stored: &StoredEvent, format: Format) -> bool {
    let text = match format {
        Format::Json => as_json(stored).to_string(),
        Format::Human => in_words(stored),
    };
    print::line(&text)
}

/// The event as structured CloudEvents JSON, and where it stands.
fn as_json(stored: &StoredEvent) -> Value {
    let event = match steadfast_core::cloudevents::to_json(&stored.event) {
        Ok(text) => serde_json::from_slice(&text).unwrap_or_default(),
        // The log takes attributes that CloudEvents would not name so.
        Err(error) => json!({"id": stored.event.id().to_string(), "unprintable": error.to_string()}),
    };
    json!({
        "position": stored.position.parts().0,
        "stream": &*stored.stream,
        "revision": stored.revision.0,
        "event": event,
    })
}

fn in_words(stored: &StoredEvent) -> String {
    let event = &stored.event;
    let data = match std::str::from_utf8(event.data()) {
        Ok(text) if text.chars().count() <= SHOWN_MAX => text.escape_debug().to_string(),
        Ok(text) => format!("{}…", text.chars().take(SHOWN_MAX).collect::<String>().escape_debug()),
        Err(_) => format!("({} bytes)", event.data().len()),
    };
    format!(
        "{:>8}  {}@{}  {}  {}  {}",
        stored.position.to_string(),
        stored.stream,
        stored.revision,
        event.kind(),
        event.id(),
        data.replace("\\\"", "\"")
    )
}
