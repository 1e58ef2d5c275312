use std::time::Duration;

use steadfast_backends::nats::{Config, SyncInterval};
use steadfast_base::units::HumanDuration;
use steadfast_servers::{Nats, NatsSettings};

pub(super) async fn started(settings: NatsSettings) -> Nats {
    tokio::task::spawn_blocking(move || Nats::start_with(&settings))
        .await
        .expect("it does not panic")
        .expect("the server starts")
}

/// A server that syncs before it acknowledges.
pub(super) async fn started_durable() -> Nats {
    started(NatsSettings { sync_always: true, ..NatsSettings::default() }).await
}

pub(super) fn config(nats: &Nats) -> Config {
    Config {
        address: nats.address().to_string(),
        sync: SyncInterval::Always,
        lease: HumanDuration(Duration::from_secs(2)),
        seed: Some(1),
        ..Config::default()
    }
}
