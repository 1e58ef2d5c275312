//! A transaction that a crash has cut in the server's file.
//!
//! With `aof-load-truncated yes`, its default, a server that finds the end of its file missing drops the command which is
//! incomplete, but not the transaction which that command was part of
//! (<https://github.com/valkey-io/valkey/pull/4342>). All that is written from then on stands within that transaction.
//! When the file is read another time, half of something that nobody was promised appears before what follows it, or
//! what was promised is taken for the end of something incomplete, and dropped.
//!
//! What the server has in memory is right, so the mend is to have it write its file anew, before it is asked for anything
//! else. It must have ended: others may have written behind what was cut, into the file that counts until then.

use std::time::Duration;

use ::redis::RedisError;
use ::redis::aio::MultiplexedConnection;
use parking_lot::Mutex;
use steadfast_core::transport::Error;
use tokio::time::Instant;

use super::server::{info, is_no, setting_of, value, wrong};
use super::{SYSTEM, error};

const LOOK_AFTER: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));

/// The start of a server, by its name for that, since which its file is known to be sound: what comes of writing it anew
/// once more does not matter.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Option<String>>);

/// What came of looking after a server's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mended {
    /// Nothing that is written from now on stands behind a transaction that was cut.
    Yes,
    /// It may not be asked for, and the server hides what it is set to.
    Hidden,
}

/// What a server says of its file.
#[derive(Debug, PartialEq, Eq)]
enum File {
    /// It is still being read.
    Loading,
    /// There is none, or it was written anew since the server was started.
    Sound,
    Renewing,
    /// It may end with a transaction that was cut when the server was started.
    Unknown,
}

/// What the server is set to do with a file whose end is missing.
struct Truncation {
    /// None where that is hidden.
    is_refused: Option<bool>,
    mend: &'static str,
}

impl Truncation {
    async fn of(connection: &mut MultiplexedConnection) -> Result<Self, Error> {
        let truncated = setting_of(connection, "aof-load-truncated").await?;
        // Redis 8.4 and later may cut off what is no command at all, too.
        let tail = setting_of(connection, "aof-load-corrupt-tail-max-size").await?;
        let keeps_tail = tail.is_none_or(|max| max.is_empty() || max == "0");
        let mend = if keeps_tail {
            "`aof-load-truncated no`"
        } else {
            "`aof-load-truncated no` and `aof-load-corrupt-tail-max-size 0`"
        };
        Ok(Self { is_refused: truncated.map(|set| set == "no" && keeps_tail), mend })
    }

    /// Says what follows from it that `what` is refused for good.
    fn refused(&self, what: &str) -> Result<Mended, Error> {
        match self.is_refused {
            None => Ok(Mended::Hidden),
            Some(true) => Ok(Mended::Yes),
            Some(false) => {
                let problem = format!(
                    "`{what}` is refused, so that a file which the server has cut when it was started cannot be \
                     mended; permit `INFO` and `BGREWRITEAOF`, or set {} in its configuration file and start it again",
                    self.mend
                );
                Err(wrong("persistence", problem))
            }
        }
    }

    /// Says what follows from it that the file is not written anew for a `reason` that may pass.
    fn failed(&self, reason: String) -> Result<Mended, Error> {
        if self.is_refused == Some(true) { Ok(Mended::Yes) } else { Err(error::unavailable(reason)) }
    }
}

/// Makes sure that nothing is written behind a transaction that was cut: has the server write its file anew, once for each
/// time that it was started, and waits for that for up to `within`.
///
/// A server that is set to refuse files that were cut is believed where it cannot write its file anew, or may not be asked
/// to; but not instead, for the setting may be younger than the server's start.
///
/// # Errors
/// [`Error::Unavailable`] while that has not come about; [`Error::Configuration`] where it may not be asked for, and the
/// server says that it cuts its file.
///
/// # Cancel safety
/// The server goes on; whoever asks next waits for the same.
pub(super) async fn mend(
    connection: &mut MultiplexedConnection,
    known: &Known,
    within: Duration,
) -> Result<Mended, Error> {
    if setting_of(connection, "appendonly").await?.is_some_and(|set| set == "no") {
        return Ok(Mended::Yes);
    }
    let (since, mut asked, mut wait) = (Instant::now(), false, LOOK_AFTER.0);
    loop {
        let Some(said) = info(connection).await? else {
            return Truncation::of(connection).await?.refused("INFO");
        };
        let start = value(&said, "run_id");
        if start.is_some() && *known.0.lock() == start.map(str::to_owned) {
            return Ok(Mended::Yes);
        }
        let Some(file) = file(&said) else {
            return Truncation::of(connection).await?.refused("INFO persistence");
        };
        match file {
            File::Loading => return Err(error::unavailable("the server still loads its file")),
            File::Sound => {
                *known.0.lock() = start.map(str::to_owned);
                return Ok(Mended::Yes);
            }
            File::Unknown if asked => {
                let reason = "the server could not write its file anew; its log says why".to_owned();
                return Truncation::of(connection).await?.failed(reason);
            }
            File::Unknown => {
                let answer: Result<String, RedisError> =
                    ::redis::cmd("BGREWRITEAOF").query_async(connection).await;
                match answer {
                    Ok(_) => tracing::info!("Redis writes its file anew, for a crash may have cut its end"),
                    Err(error) if is_forbidden(&error) => {
                        return Truncation::of(connection).await?.refused("BGREWRITEAOF");
                    }
                    // Somebody else has asked for it.
                    Err(error) if error.to_string().contains("in progress") => {}
                    Err(error) if is_no(&error) => {
                        let reason = format!("its file is not written anew: {error}");
                        return Truncation::of(connection).await?.failed(reason);
                    }
                    Err(error) => return Err(error::map(&error)),
                }
                asked = true;
            }
            File::Renewing if since.elapsed() > within => {
                return Err(error::unavailable("the server still writes its file anew"));
            }
            File::Renewing => {
                tokio::time::sleep(wait).await;
                wait = (2 * wait).min(LOOK_AFTER.1);
            }
        }
    }
}

/// Says whose word counts where nothing can be found out.
pub(super) fn take_for_granted() {
    tracing::warn!(system = SYSTEM, "it is taken for granted that the server refuses a file that was cut");
}

fn is_forbidden(error: &RedisError) -> bool {
    error::code(error).as_deref() == Some("NOPERM") || error.to_string().contains("unknown command")
}

/// Tells from what a server says of itself; nothing where it does not speak of its file.
fn file(info: &str) -> Option<File> {
    let number = |name| value(info, name).and_then(|value| value.parse::<i64>().ok());
    let is = |name| number(name) == Some(1);
    // Its file counts as turned off meanwhile.
    if is("loading") || is("async_loading") {
        return Some(File::Loading);
    }
    let is_on = number("aof_enabled")? == 1;
    // It is -1 before the first has ended.
    let ended = number("aof_last_rewrite_time_sec").is_some_and(|seconds| seconds >= 0);
    Some(if !is_on || (ended && value(info, "aof_last_bgrewrite_status") == Some("ok")) {
        File::Sound
    } else if is("aof_rewrite_in_progress") || is("aof_rewrite_scheduled") {
        File::Renewing
    } else {
        File::Unknown
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(ended: &str, status: &str, rest: &str) -> File {
        file(&format!(
            "# Server\r\nredis_version:7.0.15\r\nloading:0\r\nasync_loading:0\r\naof_enabled:1\r\n\
             aof_last_rewrite_time_sec:{ended}\r\naof_last_bgrewrite_status:{status}\r\n{rest}\r\n"
        ))
        .expect("it speaks of its file")
    }

    #[test]
    fn a_file_is_sound_once_it_was_written_anew() {
        assert_eq!(says("-1", "ok", "aof_rewrite_in_progress:0"), File::Unknown);
        assert_eq!(says("-1", "ok", "aof_rewrite_scheduled:1"), File::Renewing);
        assert_eq!(says("-1", "ok", "aof_rewrite_in_progress:1"), File::Renewing);
        assert_eq!(says("0", "ok", ""), File::Sound);
        assert_eq!(says("0", "ok", "aof_rewrite_in_progress:1"), File::Sound, "once more, as files grow");
        assert_eq!(says("0", "err", ""), File::Unknown);
        assert_eq!(says("0", "err", "aof_rewrite_in_progress:1"), File::Renewing);
    }

    /// It says that it has no file, and has one as soon as it has loaded it.
    #[test]
    fn a_server_that_loads_is_waited_for() {
        assert_eq!(file("loading:1\r\naof_enabled:0\r\n"), Some(File::Loading));
        assert_eq!(file("loading:0\r\nasync_loading:1\r\naof_enabled:0\r\n"), Some(File::Loading));
        assert_eq!(file("loading:0\r\naof_enabled:0\r\n"), Some(File::Sound));
        assert_eq!(file("redis_version:7.0.15\r\n"), None);
    }
}
