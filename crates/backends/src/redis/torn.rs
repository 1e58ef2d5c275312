//! A transaction that a crash has cut in the server's file.
//!
//! With `aof-load-truncated yes`, its default, a server that finds the end of its file missing drops the command which is
//! incomplete, but not the transaction which that command was part of
//! (<https://github.com/valkey-io/valkey/pull/4342>). All that is written from then on stands within that transaction.
//! When the file is read another time, half of something that nobody was promised appears before what follows it, or
//! what was promised is taken for the end of something incomplete, and dropped.
//!
//! What the server has in memory is right, so the mend is to have it write its file anew, before it is asked for anything
//! else. Since Redis 7.0 it is enough that it has begun to, for what is written from then on goes into a file of its
//! own; before, it must have ended.

use std::time::Duration;

use ::redis::RedisError;
use ::redis::aio::MultiplexedConnection;
use steadfast_core::transport::Error;
use tokio::time::Instant;

use super::error;
use super::server::{info, is_no, setting_of, value, wrong};

const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The first version that writes to a file of its own once it has begun to write its file anew.
const WITH_PARTS: u32 = 7;

/// What is known of a server's file.
#[derive(Debug, PartialEq, Eq)]
enum File {
    /// What is written from now on does not stand behind anything that was cut.
    Sound,
    /// It is being written anew.
    Renewing,
    /// It may end with a transaction that was cut when the server was started.
    Unknown,
}

/// Makes sure that nothing is written behind a transaction that was cut: has the server write its file anew, once for each
/// time that it was started, and waits for that for up to `within`.
///
/// # Errors
/// [`Error::Unavailable`] while that has not come about; [`Error::Configuration`] where it is forbidden, and a server may
/// be asked what it is set to, but not this. Of one that hides its settings it is taken for granted that it refuses
/// files that were cut.
///
/// # Cancel safety
/// The server goes on; whoever asks next waits for the same.
pub(super) async fn mend(connection: &mut MultiplexedConnection, within: Duration) -> Result<(), Error> {
    let truncates = setting_of(connection, "aof-load-truncated").await?;
    let tail_max = setting_of(connection, "aof-load-corrupt-tail-max-size").await?;
    let forbidden = |what: &str| {
        if truncates.is_none() {
            return Ok(());
        }
        let problem = format!(
            "`{what}` is refused, so that a file which the server has cut when it was started cannot be mended; permit \
             `INFO` and `BGREWRITEAOF`, or set `aof-load-truncated no`"
        );
        Err(wrong("persistence", problem))
    };
    if truncates.as_deref() == Some("no") && tail_max.is_none_or(|max| max.is_empty() || max == "0") {
        return Ok(());
    }
    let (since, mut asked) = (Instant::now(), false);
    loop {
        let Some(said) = info(connection).await? else { return forbidden("INFO") };
        match file(&said) {
            File::Sound => return Ok(()),
            File::Unknown if asked => {
                return Err(error::unavailable("the server could not write its file anew; its log says why"));
            }
            File::Unknown => {
                asked = true;
                let answer: Result<String, RedisError> =
                    ::redis::cmd("BGREWRITEAOF").query_async(connection).await;
                match answer {
                    Ok(_) => tracing::info!("Redis writes its file anew, for a crash may have cut its end"),
                    Err(error) if error.to_string().contains("in progress") => {}
                    Err(error) if error.to_string().contains("unknown command") => {
                        return forbidden("BGREWRITEAOF");
                    }
                    Err(error) if error::code(&error).as_deref() == Some("NOPERM") => {
                        return forbidden("BGREWRITEAOF");
                    }
                    Err(error) if is_no(&error) => {
                        return Err(error::unavailable(format!("its file is not written anew: {error}")));
                    }
                    Err(error) => return Err(error::map(&error)),
                }
            }
            File::Renewing if since.elapsed() > within => {
                return Err(error::unavailable("the server still writes its file anew"));
            }
            File::Renewing => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// Tells from what a server says of itself.
fn file(info: &str) -> File {
    let number = |name| value(info, name).and_then(|value| value.parse::<i64>().ok());
    if number("aof_enabled") != Some(1) {
        return File::Sound;
    }
    let major =
        value(info, "redis_version").and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    let begun = number("aof_rewrites").is_some_and(|count| count > 0);
    if begun && major.is_some_and(|major| major >= WITH_PARTS) {
        return File::Sound;
    }
    if number("aof_rewrite_in_progress") == Some(1) || number("aof_rewrite_scheduled") == Some(1) {
        return File::Renewing;
    }
    // It is -1 before the first.
    let ended = number("aof_last_rewrite_time_sec").is_some_and(|seconds| seconds >= 0);
    if ended && value(info, "aof_last_bgrewrite_status") == Some("ok") { File::Sound } else { File::Unknown }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(version: &str, rest: &[(&str, &str)]) -> File {
        let mut info = format!("# Server\r\nredis_version:{version}\r\naof_enabled:1\r\n");
        for (name, value) in rest {
            info.push_str(&format!("{name}:{value}\r\n"));
        }
        file(&info)
    }

    #[test]
    fn a_file_is_sound_once_nothing_follows_what_was_cut() {
        let started = [
            ("aof_rewrites", "0"),
            ("aof_rewrite_in_progress", "0"),
            ("aof_rewrite_scheduled", "0"),
            ("aof_last_rewrite_time_sec", "-1"),
            ("aof_last_bgrewrite_status", "ok"),
        ];
        assert_eq!(says("7.0.15", &started), File::Unknown);
        assert_eq!(says("6.2.14", &started[1..]), File::Unknown);
        assert_eq!(says("7.0.15", &[("aof_rewrite_scheduled", "1")]), File::Renewing);

        // With parts it is enough that it has begun, whatever comes of it.
        let begun = [("aof_rewrites", "1"), ("aof_rewrite_in_progress", "1")];
        assert_eq!(says("7.0.15", &begun), File::Sound);
        assert_eq!(says("8.2.3", &begun), File::Sound);
        assert_eq!(says("6.2.14", &begun), File::Renewing);
        let ended = |status| [("aof_last_rewrite_time_sec", "0"), ("aof_last_bgrewrite_status", status)];
        assert_eq!(says("6.2.14", &ended("ok")), File::Sound);
        assert_eq!(says("6.2.14", &ended("err")), File::Unknown);
    }

    #[test]
    fn without_a_file_nothing_is_cut() {
        assert_eq!(file("redis_version:7.0.15\r\naof_enabled:0\r\naof_rewrites:0\r\n"), File::Sound);
        assert_eq!(file(""), File::Sound);
    }
}
