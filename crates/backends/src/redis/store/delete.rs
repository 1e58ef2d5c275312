use ::redis::{FromRedisValue, Value};
use steadfast_core::store::{Deleted, Durability, Error, Expected, Outcome, Revision};

use super::append::expected;
use super::error::{DELETING, connecting, gone, of, strange, unknown};
use super::script;
use super::session::{Session, VERSION};
use crate::redis::connector::Connection;

/// How many events one step deletes.
const EVENTS_MAX: usize = 1_000;

/// What has come of one step.
enum Step {
    Deleted {
        events: u64,
        left: bool,
    },
    /// An earlier deletion of the stream has not come to its end.
    Busy,
}

/// Deletes the events of a stream.
pub(super) async fn delete(
    session: &Session,
    stream: &str,
    condition: Option<Expected>,
    durability: Durability,
) -> Result<Deleted, Error> {
    // It is not asked for twice, for then nobody knew how much the first has deleted. So that a connection which has gone
    // unnoticed does not leave it open, it is tried before.
    let ping = |mut commands| async move { ::redis::cmd("PING").query_async::<Value>(&mut commands).await };
    session.ask_by(&session.appends, ping).await?;
    let (events, connection) = loop {
        match step(session, stream, "delete", condition).await? {
            (Step::Deleted { events, left: false }, connection) => break (events, connection),
            (Step::Deleted { events, left: true }, _) => {
                // It is deleted by now, whatever becomes of this.
                let finished = finish(session, stream).await;
                break (events, finished.map_err(|error| unknown(DELETING, error))?);
            }
            (Step::Busy, _) => drop(finish(session, stream).await?),
        }
    };
    let achieved = session.make_safe(&connection, durability).await;
    let achieved = achieved.map_err(|error| unknown(DELETING, connecting(&error)))?;
    Ok(Deleted { events, achieved })
}

/// Goes on with the deletion of a stream that was begun, to its end; returns the connection that has written last.
pub(super) async fn finish(session: &Session, stream: &str) -> Result<Connection, Error> {
    loop {
        if let (Step::Deleted { left: false, .. }, connection) = step(session, stream, "go on", None).await? {
            return Ok(connection);
        }
    }
}

/// Does one step of a deletion.
async fn step(
    session: &Session,
    stream: &str,
    what: &str,
    condition: Option<Expected>,
) -> Result<(Step, Connection), Error> {
    let _turn = session.enter()?;
    let (keys, connector) = (&session.keys, &session.appends);
    let connection = session.connect(connector).await?;
    let mut call = script::DELETE.prepare_invoke();
    for key in [keys.meta(), keys.log(), keys.next(), keys.deleting(), keys.index(stream), keys.gone(stream)]
    {
        call.key(key);
    }
    call.arg(VERSION).arg(what).arg(stream);
    call.arg(condition.map_or_else(String::new, |condition| expected(condition).to_string()));
    call.arg(EVENTS_MAX);
    let send = |mut commands| async move { call.invoke_async::<Vec<Value>>(&mut commands).await };
    let answer = connector.run(&connection, send).await;
    let answer = answer.map_err(|error| of(DELETING, &error, Outcome::Unknown))?;
    if let [outcome, version] = &answer[..]
        && is(outcome, "layout")
    {
        connector.renew("the store is gone").await;
        tracing::debug!(?version, "the keys are not those of this store");
        return Err(gone(DELETING));
    }
    let step = read(stream, &answer).ok_or_else(|| strange(DELETING))??;
    Ok((step, connection))
}

fn is(value: &Value, text: &str) -> bool {
    matches!(value, Value::BulkString(bytes) if bytes == text.as_bytes())
}

fn read(stream: &str, answer: &[Value]) -> Option<Result<Step, Error>> {
    match answer {
        [outcome, actual] if is(outcome, "conflict") => {
            let actual = i64::from_redis_value_ref(actual).ok()?;
            let actual = u64::try_from(actual).ok().map(Revision);
            Some(Err(Error::Conflict { stream: stream.into(), actual }))
        }
        [outcome, ..] if is(outcome, "busy") => Some(Ok(Step::Busy)),
        [_, events, left] => {
            let (events, left) =
                (u64::from_redis_value_ref(events).ok()?, u64::from_redis_value_ref(left).ok()?);
            Some(Ok(Step::Deleted { events, left: left > 0 }))
        }
        _ => None,
    }
}
