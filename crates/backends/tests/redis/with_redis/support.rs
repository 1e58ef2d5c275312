use std::time::Duration;

use steadfast_backends::redis::{Config, Persistence};
use steadfast_base::units::HumanDuration;
use steadfast_servers::{Redis, RedisProgram};

/// Settings of a server, beyond the usual ones.
pub(crate) type ServerSettings = &'static [(&'static str, &'static str)];

pub(crate) async fn started(settings: ServerSettings) -> Redis {
    started_as(RedisProgram::Redis, settings).await
}

pub(crate) async fn started_as(program: RedisProgram, settings: ServerSettings) -> Redis {
    tokio::task::spawn_blocking(move || Redis::start_in(program, &std::env::temp_dir(), settings))
        .await
        .expect("it does not panic")
        .expect("the server starts")
}

pub(crate) fn config(redis: &Redis) -> Config {
    Config {
        address: redis.address().to_string(),
        persistence: Persistence::AppendFsyncAlways,
        lease: HumanDuration(Duration::from_secs(2)),
        seed: Some(1),
        ..Config::default()
    }
}
