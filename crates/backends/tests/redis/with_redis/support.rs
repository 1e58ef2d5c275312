use std::time::Duration;

use steadfast_backends::redis::{Config, Persistence};
use steadfast_base::units::HumanDuration;
use steadfast_servers::Redis;

pub(super) async fn started(settings: &'static [(&'static str, &'static str)]) -> Redis {
    tokio::task::spawn_blocking(move || Redis::start_with(settings))
        .await
        .expect("it does not panic")
        .expect("the server starts")
}

pub(super) fn config(redis: &Redis) -> Config {
    Config {
        address: redis.address().to_string(),
        persistence: Persistence::AppendFsyncAlways,
        lease: HumanDuration(Duration::from_secs(2)),
        seed: Some(1),
        ..Config::default()
    }
}
