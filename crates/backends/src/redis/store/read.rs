//! Reads of a chunk: of all events by their place in the log, of a few streams by their indexes.

use ::redis::Value;
use ::redis::aio::MultiplexedConnection;
use steadfast_core::store::{Direction, Error, Filter, Position, Revision};

use super::entry::{self, Decoded};
use super::session::Session;
use super::{place, script};
use crate::chunks::{Chunk, Pace, Range};

/// Of more streams than this the log is read, and the rest passed over.
const STREAMS_MAX: usize = 16;

/// All that stands up to `head`.
pub(super) fn up_to(head: Position) -> Range {
    Range { after: Position::START, before: place::after(head) }
}

/// Reads up to `size` events that pass `filter`, of those in `range`.
pub(super) async fn chunk(
    session: &Session,
    filter: &Filter,
    range: Range,
    direction: Direction,
    size: usize,
    pace: &Pace,
) -> Result<Chunk, Error> {
    let passes_all = filter.kinds.is_empty() && filter.subjects.is_empty();
    let streams = (1..=STREAMS_MAX).contains(&filter.streams.len());
    let asked = if passes_all && (streams || filter.streams.is_empty()) {
        size.min(pace.next())
    } else {
        // Most may be passed over.
        pace.next()
    };
    let _turn = session.enter()?;
    let entries = entries(session, filter, range, direction, asked).await?;
    let mut more = entries.len() >= asked;
    let (mut events, mut looked, mut bytes, mut last) = (Vec::new(), 0, 0, None);
    let log = session.keys.log();
    for entry in entries {
        if events.len() == size {
            more = true;
            break;
        }
        let Decoded { stored, bytes: length } = entry::decode(&log, entry)?;
        (looked, bytes) = (looked + 1, bytes + length);
        last = Some(stored.position);
        if filter.matches(&stored.stream, &stored.event) {
            events.push(stored);
        }
    }
    pace.learn(looked, bytes);
    if let Some(last) = last {
        session.facts.saw(last);
    }
    Ok(Chunk { events, rest: range.rest(direction, last.filter(|_| more)) })
}

async fn entries(
    session: &Session,
    filter: &Filter,
    range: Range,
    direction: Direction,
    most: usize,
) -> Result<Vec<Value>, Error> {
    let (first, last) = (place::after(range.after), place::before(range.before));
    let (keys, backward) = (&session.keys, direction == Direction::Backward);
    let ask = |mut commands: MultiplexedConnection| async move {
        if (1..=STREAMS_MAX).contains(&filter.streams.len()) {
            let mut names: Vec<&str> = filter.streams.iter().map(|name| &**name).collect();
            names.sort_unstable();
            names.dedup();
            let mut call = script::PICK.key(keys.log());
            for name in names {
                call.key(keys.index(name));
            }
            call.arg(place::member(first)).arg(place::member(last)).arg(u8::from(backward)).arg(most);
            return call.invoke_async(&mut commands).await;
        }
        let (first, last) = (place::id(first), place::id(last));
        let mut call = match backward {
            false => ::redis::cmd("XRANGE").arg(keys.log()).arg(first).arg(last).to_owned(),
            true => ::redis::cmd("XREVRANGE").arg(keys.log()).arg(last).arg(first).to_owned(),
        };
        call.arg("COUNT").arg(most).query_async(&mut commands).await
    };
    session.ask(ask).await
}

/// Returns the revision of the newest event of a stream.
pub(super) async fn revision(session: &Session, stream: &str) -> Result<Option<Revision>, Error> {
    let _turn = session.enter()?;
    let keys = &session.keys;
    let ask = |mut commands: MultiplexedConnection| async move {
        let mut both = ::redis::pipe();
        both.atomic().exists(keys.index(stream)).hget(keys.next(), stream);
        both.query_async::<(bool, Option<u64>)>(&mut commands).await
    };
    let (exists, next) = session.ask(ask).await?;
    Ok(next.filter(|_| exists).map(|next| Revision(next.saturating_sub(1))))
}
