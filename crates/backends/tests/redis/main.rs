//! Redis Streams on a real server.

#[path = "../broker/mod.rs"]
mod broker;

mod with_redis {
    use std::sync::Arc;
    use std::time::Duration;

    use steadfast_backends::redis::{Config, Persistence, RedisSink, RedisSource};
    use steadfast_base::units::HumanDuration;
    use steadfast_servers::Redis;

    use crate::broker;

    async fn started(settings: &'static [(&str, &str)]) -> Redis {
        tokio::task::spawn_blocking(move || Redis::start_with(settings))
            .await
            .expect("it does not panic")
            .expect("the server starts")
    }

    fn config(redis: &Redis) -> Config {
        Config {
            address: redis.address().to_string(),
            persistence: Persistence::AppendFsyncAlways,
            lease: HumanDuration(Duration::from_secs(2)),
            seed: Some(1),
            ..Config::default()
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn killed_in_mid_stream_it_loses_nothing() {
        let mut redis = started(&[]).await;
        let config = config(&redis);
        let sink = Arc::new(RedisSink::new(config.clone()).expect("the configuration is right"));
        let source = Arc::new(RedisSource::new(config).expect("the configuration is right"));
        let kill = move || {
            redis.kill();
            redis.restart().expect("it starts again");
            redis
        };
        broker::kill::nothing_is_lost(sink, source, kill).await;
    }
}
