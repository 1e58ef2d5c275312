use std::sync::Arc;

use steadfast_backends::redis::{RedisSink, RedisSource};

use super::support::{config, started};
use crate::broker;

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
