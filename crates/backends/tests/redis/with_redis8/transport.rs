//! A transport whose server syncs when it is asked to.

use std::time::Duration;

use steadfast_backends::redis::{Config, Persistence, RedisSink};
use steadfast_base::Deadline;
use steadfast_core::Event;
use steadfast_core::store::Durability;
use steadfast_core::transport::{Error, Sink};
use steadfast_servers::RedisProgram::Redis8;

use crate::with_redis::support::{self, ServerSettings};

async fn send(settings: ServerSettings, durability: Durability) -> Result<Durability, Error> {
    let server = support::started_as(Redis8, settings).await;
    let sink = RedisSink::new(Config { persistence: Persistence::WaitAof, ..support::config(&server) })?;
    let events = [Event::new("/test", "test.sent").build()];
    sink.send(&events, durability, Deadline::within(Duration::from_secs(10))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_asked_where_durability_is() {
    let everysec: ServerSettings = &[("appendfsync", "everysec")];
    assert_eq!(send(everysec, Durability::Durable).await.expect("it is synced"), Durability::Durable);
    assert_eq!(send(everysec, Durability::Accepted).await.expect("it is sent"), Durability::Accepted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_never_syncs_or_keeps_no_file_is_refused() {
    let settings: [ServerSettings; 2] = [&[("appendfsync", "no")], &[("appendonly", "no")]];
    for never in settings {
        let error = send(never, Durability::Durable).await.expect_err("it would wait forever");
        assert!(matches!(error, Error::Configuration { field: "persistence", .. }), "{error:?}");
    }
}
