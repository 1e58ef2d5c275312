use std::sync::Arc;

use steadfast_backends::nats::{Config, NatsSink, NatsSource, SyncInterval};
use steadfast_servers::{Nats, NatsSettings};

use super::support::{config, started, started_durable};
use crate::broker;

async fn killed(mut nats: Nats, config: Config) {
    let sink = Arc::new(NatsSink::new(config.clone()).expect("the configuration is right"));
    let source = Arc::new(NatsSource::new(config).expect("the configuration is right"));
    let kill = move || {
        nats.kill();
        nats.restart().expect("it starts again");
        nats
    };
    broker::kill::nothing_is_lost(sink, source, kill).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_mid_stream_it_loses_nothing() {
    let nats = started_durable().await;
    let config = config(&nats);
    killed(nats, config).await;
}

/// What was written survives the death of the process, if not the loss of power.
#[tokio::test(flavor = "multi_thread")]
async fn killed_without_syncing_it_loses_nothing() {
    let nats = started(NatsSettings::default()).await;
    let config = Config { sync: SyncInterval::Lazy, ..config(&nats) };
    killed(nats, config).await;
}
