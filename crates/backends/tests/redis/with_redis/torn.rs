//! The server's file is cut amid a transaction, as a crash may leave it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::TryStreamExt;
use redis::AsyncCommands;
use redis::streams::StreamRangeReply;
use steadfast_backends::Secret;
use steadfast_backends::redis::{Config, Persistence, RedisSink};
use steadfast_base::Deadline;
use steadfast_core::Event;
use steadfast_core::store::{Batch, Condition, Durability, Error, EventStore, NewEvent, Query};
use steadfast_core::transport::Sink;
use steadfast_servers::{Redis, RedisProgram};

use super::store::{Place, event};
use super::support::{config, started};

const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
/// How much of a command is left of it.
const LEFT: usize = 5;

/// Finds the file that the server writes to: since 7.0 the newest of several.
fn written_to(folder: &Path) -> PathBuf {
    let Ok(files) = std::fs::read_dir(folder.join("appendonlydir")) else {
        return folder.join("appendonly.aof");
    };
    let paths = files.map(|file| file.expect("readable").path());
    let parts = paths.filter(|path| path.to_string_lossy().ends_with(".incr.aof"));
    let number = |path: &PathBuf| -> Option<u32> {
        path.file_name()?.to_str()?.strip_prefix("appendonly.aof.")?.split('.').next()?.parse().ok()
    };
    parts.max_by_key(number).expect("a part that is written to")
}

/// Returns how long the command is that `bytes` begin with.
fn length(bytes: &[u8]) -> usize {
    let mut at = 0;
    let mut number = |begins: u8| -> usize {
        let end = bytes[at..].windows(2).position(|end| end == b"\r\n").expect("a whole line") + at;
        assert_eq!(bytes[at], begins);
        let number = std::str::from_utf8(&bytes[at + 1..end]).expect("digits").parse().expect("a number");
        at = if begins == b'$' { end + 2 + number + 2 } else { end + 2 };
        number
    };
    for _ in 0..number(b'*') {
        number(b'$');
    }
    at
}

/// Kills the server, leaves of its last transaction all before command `which`, and of that a beginning, and starts it
/// again; says whether there is such a command. The first is `MULTI`, the last `EXEC`.
fn tear(redis: &mut Redis, which: usize) -> bool {
    redis.kill();
    let path = written_to(redis.folder());
    let bytes = std::fs::read(&path).expect("readable");
    let mut at = bytes.windows(MULTI.len()).rposition(|here| here == MULTI).expect("a transaction");
    for _ in 0..which {
        at += length(&bytes[at..]);
    }
    let is_there = at < bytes.len();
    if is_there {
        std::fs::write(&path, &bytes[..at + LEFT]).expect("written");
    }
    redis.restart().expect("it starts again");
    is_there
}

fn restart(redis: &mut Redis) {
    redis.restart().expect("it starts again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_an_append_never_appears() {
    half_an_append_never_appears_on(RedisProgram::Redis).await;
}

pub(crate) async fn half_an_append_never_appears_on(program: RedisProgram) {
    let mut place = Place::on(program, &[]).await;
    let mut kinds = Vec::new();
    for which in 1.. {
        let store = place.open().await;
        let [before, torn, after] = ["before", "torn", "after"].map(|name| format!("{name} {which}"));
        let append = |kind: &str| {
            let mut batch = Batch::to_stream("s", [event(kind), event(kind)]);
            batch.events[1] = NewEvent { stream: "t".into(), event: event(kind) };
            batch
        };
        for kind in [&before, &torn] {
            store.append(append(kind), Condition::Any, Durability::Durable).await.expect("appended");
        }
        // It would miss what is torn, for it was told that this was durable.
        drop(store);
        let is_torn = tokio::task::block_in_place(|| tear(&mut place.server, which));
        let appended = if is_torn { [before, after] } else { [before, torn] };
        if is_torn {
            let store = place.open().await;
            store.append(append(&appended[1]), Condition::Any, Durability::Durable).await.expect("appended");
        }
        kinds.extend(appended.iter().flat_map(|kind| [kind.clone(), kind.clone()]));

        tokio::task::block_in_place(|| restart(&mut place.server));
        let store = place.open().await;
        let found: Vec<_> = store.read(Query::default()).try_collect().await.expect("readable");
        let found_kinds: Vec<_> = found.iter().map(|stored| stored.event.kind()).collect();
        assert_eq!(found_kinds, kinds, "cut in command {which}");
        for stream in ["s", "t"] {
            let alone: Vec<_> = store.read(Query::stream(stream)).try_collect().await.expect("readable");
            let among: Vec<_> = found.iter().filter(|stored| *stored.stream == *stream).cloned().collect();
            assert_eq!(alone, among, "cut in command {which}");
            assert!(alone.iter().zip(0..).all(|(stored, number)| stored.revision.0 == number), "{stream}");
        }
        if !is_torn {
            assert!(which > 10, "an append has more commands than {which}");
            return;
        }
    }
}

/// One event is one command, without a transaction of its own that would end the one that was torn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_after_a_torn_transaction_is_kept() {
    let mut redis = started(&[]).await;
    let config = Config { shards: 1, ..config(&redis) };
    let send = async |numbers: &[u32]| {
        let events: Vec<_> = numbers
            .iter()
            .map(|number| Event::new("/torn", "torn.sent").data("text/plain", number.to_string()))
            .collect();
        let sink = RedisSink::new(config.clone()).expect("the configuration is right");
        let deadline = Deadline::within(Duration::from_secs(20));
        sink.send(&events, Durability::Durable, deadline).await.expect("sent");
    };
    send(&[0]).await;
    send(&[1, 2]).await;
    // The second event of the two.
    assert!(tokio::task::block_in_place(|| tear(&mut redis, 2)));
    send(&[3]).await;
    tokio::task::block_in_place(|| restart(&mut redis));

    let client = redis::Client::open(redis.url()).expect("the address is right");
    let mut connection = client.get_multiplexed_async_connection().await.expect("it connects");
    let found: StreamRangeReply = connection.xrange_all(&config.stream).await.expect("readable");
    let data: Vec<String> = found.ids.iter().filter_map(|entry| entry.get("data")).collect();
    assert_eq!(data, ["0", "3"]);
}

/// Who may not have the file mended needs a server that does not cut it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_may_not_be_mended_is_refused() {
    for forbidden in ["bgrewriteaof", "info"] {
        let mut place = Place::new().await;
        let _: () = place.ask(&format!("ACL SETUSER limited on nopass ~* &* +@all -{forbidden}")).await;
        place.config.username = Some("limited".to_owned());
        place.config.password = Some(Secret::new("any"));
        let refused = place.try_open().await.expect_err("it cannot be mended");
        let names = |reason: &str| {
            ["persistence", &forbidden.to_uppercase(), "aof-load-truncated no"]
                .iter()
                .all(|name| reason.contains(name))
        };
        assert!(matches!(&refused, Error::Invalid { reason } if names(reason)), "{refused}");
        // One that refuses files which were cut is believed, and of one that hides what it does nothing unsaid is.
        let _: () = place.ask("CONFIG SET aof-load-truncated no").await;
        assert_eq!(place.open().await.capabilities().durability_max, Durability::Durable);
        let _: () = place.ask("ACL SETUSER limited -config").await;
        assert_eq!(place.open().await.capabilities().durability_max, Durability::Accepted);
        place.config.persistence = Persistence::AppendFsyncAlways;
        assert_eq!(place.open().await.capabilities().durability_max, Durability::Durable);
    }
}

/// The file is written anew once for each time that the server was started, not for each connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_mended_once() {
    let mut place = Place::new().await;
    for _ in 0..2 {
        for _ in 0..3 {
            place.open().await;
        }
        let info: String = place.ask("INFO").await;
        assert!(info.contains("aof_rewrites:1\r\n"), "{info}");
        tokio::task::block_in_place(|| restart(&mut place.server));
    }
}
