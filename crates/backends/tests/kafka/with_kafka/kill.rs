use std::sync::Arc;

use steadfast_backends::kafka::{KafkaSink, KafkaSource};

use super::pool;
use crate::broker;

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_mid_stream_it_loses_nothing() {
    let mut node = tokio::task::spawn_blocking(pool::borrow).await.expect("a node is there");
    let config = node.config();
    let sink = Arc::new(KafkaSink::new(config.clone()).expect("the configuration is right"));
    let source = Arc::new(KafkaSource::new(config).expect("the configuration is right"));
    let kill = move || {
        node.kill();
        node.restart();
        node
    };
    broker::kill::nothing_is_lost(sink, source, kill).await;
}
