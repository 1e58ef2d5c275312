//! What a server says of itself.

use ::redis::RedisError;
use ::redis::aio::MultiplexedConnection;
use steadfast_core::transport::Error;

use super::{SYSTEM, error};

/// Whether the server syncs before it answers.
pub(super) enum Always {
    Yes,
    /// What is to be set otherwise.
    No(String),
    /// `CONFIG GET` is refused.
    Hidden,
}

/// Asks whether the server syncs what it has written before it answers.
pub(super) async fn syncs_always(connection: &mut MultiplexedConnection) -> Result<Always, Error> {
    for (setting, wanted) in
        [("appendonly", "yes"), ("appendfsync", "always"), ("no-appendfsync-on-rewrite", "no")]
    {
        match setting_of(connection, setting).await? {
            None => return Ok(Always::Hidden),
            Some(found) if found != wanted => {
                return Ok(Always::No(format!("the server has `{setting} {found}`; set `{wanted}`")));
            }
            Some(_) => {}
        }
    }
    Ok(Always::Yes)
}

/// Says why the server cannot wait until its file is synced, if it cannot.
pub(super) async fn cannot_wait(connection: &mut MultiplexedConnection) -> Result<Option<String>, Error> {
    // With nothing written it answers at once, or says that it is unknown or that there is no file.
    let asked: Result<(u32, u32), RedisError> =
        ::redis::cmd("WAITAOF").arg(1).arg(0).arg(1).query_async(connection).await;
    match asked {
        Ok(_) => Ok(None),
        Err(error) if is_no(&error) => Ok(Some(format!("the server cannot WAITAOF: {error}"))),
        Err(error) => Err(error::map(&error)),
    }
}

/// A server that is full must not make room by deleting events.
pub(super) async fn check_eviction(connection: &mut MultiplexedConnection) -> Result<(), Error> {
    let Some(policy) = setting_of(connection, "maxmemory-policy").await? else { return Ok(()) };
    if policy.starts_with("allkeys")
        && setting_of(connection, "maxmemory").await?.is_some_and(|max| max != "0")
    {
        let problem =
            format!("the server has `maxmemory-policy {policy}`, which deletes events; set `noeviction`");
        return Err(wrong("persistence", problem));
    }
    Ok(())
}

/// Reads a setting; none where the server refuses to say.
async fn setting_of(connection: &mut MultiplexedConnection, setting: &str) -> Result<Option<String>, Error> {
    let answer: Result<Vec<String>, RedisError> =
        ::redis::cmd("CONFIG").arg("GET").arg(setting).query_async(connection).await;
    match answer {
        Ok(pair) => Ok(Some(pair.into_iter().nth(1).unwrap_or_default())),
        Err(error) if is_no(&error) => Ok(None),
        Err(error) => Err(error::map(&error)),
    }
}

/// Says whether the server refuses for good, unlike one that has other things to do at the moment.
fn is_no(error: &RedisError) -> bool {
    matches!(error::code(error).as_deref(), Some("NOPERM" | "ERR"))
}

pub(super) fn wrong(field: &'static str, problem: String) -> Error {
    Error::Configuration { system: SYSTEM, field, problem }
}
