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
    let version = info(connection).await?.as_deref().and_then(version);
    Ok(match version.filter(|version| *version < SYNCS_NAMES) {
        Some((major, minor, patch)) => Always::No(format!(
            "Redis {major}.{minor}.{patch} loses with the power what it has written anew, for it does not sync its \
             folder; use 7.0.3 or later"
        )),
        None => Always::Yes,
    })
}

/// The first version that syncs the folder once a file is written anew (<https://github.com/redis/redis/pull/10737>), and
/// answers nobody before it has synced, whatever holds it up (<https://github.com/redis/redis/pull/9678>).
const SYNCS_NAMES: (u32, u32, u32) = (7, 0, 3);

/// Returns the version that `info` tells; of a Valkey the one of Redis that it counts as.
fn version(info: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = value(info, "redis_version")?.split('.').map(str::parse::<u32>);
    let mut next = || numbers.next()?.ok();
    Some((next()?, next()?, next()?))
}

/// Says why the server cannot wait until its file is synced, if it cannot.
pub(super) async fn cannot_wait(connection: &mut MultiplexedConnection) -> Result<Option<String>, Error> {
    // It takes the command, and then waits for a sync that it leaves to the kernel and never hears of.
    if setting_of(connection, "appendfsync").await?.is_some_and(|found| found == "no") {
        let problem = "the server has `appendfsync no`, with which WAITAOF waits forever; set `everysec`";
        return Ok(Some(problem.to_owned()));
    }
    // With nothing written it answers at once, or says that it is unknown or that there is no file.
    let asked: Result<(u32, u32), RedisError> =
        ::redis::cmd("WAITAOF").arg(1).arg(0).arg(1).query_async(connection).await;
    match asked {
        Ok(_) => Ok(answers_early(connection).await?),
        Err(error) if is_no(&error) => Ok(Some(format!("the server cannot WAITAOF: {error}"))),
        Err(error) => Err(error::map(&error)),
    }
}

/// Says why what the server answers to WAITAOF is not to be believed, if it is not.
///
/// With `appendfsync everysec` Redis from 7.2.2 on, and all of Valkey, count what was written less than a second after a
/// sync as synced (<https://github.com/redis/redis/pull/13793>); Redis 8.0 does not. Where the server may not be asked
/// what it is, nothing is said against it.
async fn answers_early(connection: &mut MultiplexedConnection) -> Result<Option<String>, Error> {
    let info = info(connection).await?;
    Ok(info.and_then(|info| early(&info)).map(|program| {
        format!(
            "{program} answers WAITAOF before it has synced; set `appendfsync always`, or use Redis 8.0 or later"
        )
    }))
}

/// Names the program that `info` is of, if it answers early.
fn early(info: &str) -> Option<String> {
    if let Some(version) = value(info, "valkey_version") {
        return Some(format!("Valkey {version}"));
    }
    let (major, minor, patch) = version(info)?;
    (major < 8).then(|| format!("Redis {major}.{minor}.{patch}"))
}

/// Asks the server what it is and does; none where it refuses to say.
pub(super) async fn info(connection: &mut MultiplexedConnection) -> Result<Option<String>, Error> {
    let answer: Result<String, RedisError> = ::redis::cmd("INFO").query_async(connection).await;
    match answer {
        Ok(info) => Ok(Some(info)),
        Err(error) if is_no(&error) => Ok(None),
        Err(error) => Err(error::map(&error)),
    }
}

/// Returns what `info` says about `name`.
pub(super) fn value<'i>(info: &'i str, name: &str) -> Option<&'i str> {
    info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'))
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
pub(super) async fn setting_of(
    connection: &mut MultiplexedConnection,
    setting: &str,
) -> Result<Option<String>, Error> {
    let answer: Result<Vec<String>, RedisError> =
        ::redis::cmd("CONFIG").arg("GET").arg(setting).query_async(connection).await;
    match answer {
        Ok(pair) => Ok(Some(pair.into_iter().nth(1).unwrap_or_default())),
        Err(error) if is_no(&error) => Ok(None),
        Err(error) => Err(error::map(&error)),
    }
}

/// Says whether the server refuses for good, unlike one that has other things to do at the moment.
pub(super) fn is_no(error: &RedisError) -> bool {
    matches!(error::code(error).as_deref(), Some("NOPERM" | "ERR"))
}

pub(super) fn wrong(field: &'static str, problem: String) -> Error {
    Error::Configuration { system: SYSTEM, field, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_redis_since_8_waits_until_it_has_synced() {
        assert_eq!(early("# Server\r\nredis_version:8.2.3\r\nredis_mode:standalone\r\n"), None);
        assert_eq!(early("redis_version:7.4.2\r\n").as_deref(), Some("Redis 7.4.2"));
        let valkey = "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2\r\n";
        assert_eq!(early(valkey).as_deref(), Some("Valkey 9.1.2"));
        assert_eq!(early(""), None);
    }

    #[test]
    fn versions_are_compared_by_number() {
        let is_old = |info: &str| version(info).is_some_and(|version| version < SYNCS_NAMES);
        assert!(is_old("redis_version:6.2.14\r\n") && is_old("redis_version:7.0.2\r\n"));
        assert!(!is_old("redis_version:7.0.15\r\n") && !is_old("redis_version:10.0.0\r\n"));
        assert_eq!(version("redis_version:unstable\r\n"), None);
    }
}
