use std::sync::Arc;

use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use steadfast::shutdown::Phase;
use steadfast::telemetry::Metrics;
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;

use super::grpc::Service;
use super::log::{levels, reservations};
use super::store::Store;
use crate::host::{
    Common, Gate, Health, HttpMetrics, Incoming, Opened, Program, Ready, ServerGuards, Work, ending,
    grpc_route, not_ready, probes,
};
use crate::proto::inventory::inventory_server::InventoryServer;

/// How many commands may run at once.
const COMMANDS_MAX: usize = 2048;
/// The largest message of a call, in bytes.
const MESSAGE_MAX: usize = 256 * 1024;

/// Sets stock aside for orders: gRPC inventory.v1, idempotent by key, event-sourced.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "inventory", version)]
pub struct Arguments {
    /// What all three programs take.
    #[command(flatten)]
    pub common: Common,
    /// How many pieces of each article there are, before anything is reserved.
    #[arg(long, value_name = "N", default_value_t = 1_000_000_000_000)]
    pub stock: u64,
}

/// Runs the program until `stopping` is cancelled.
///
/// # Errors
/// The port or the log cannot be opened, or the log cannot be closed.
pub async fn run(arguments: Arguments, stopping: CancellationToken) -> anyhow::Result<()> {
    let guarding = arguments.common.guarding.clone();
    let guards = Incoming::new("inventory", &guarding.load::<ServerGuards>("inventory")?.incoming)?;
    let program = Program::bind(&arguments.common, stopping.clone()).await?;
    let gate = Gate::<Store>::default();
    let server = InventoryServer::new(Service(gate.clone())).max_decoding_message_size(MESSAGE_MAX);
    let (health, health_route) = Health::new(<InventoryServer<Service> as NamedService>::NAME).await;
    let metrics = Metrics::new("inventory");
    let measured = metrics.register(HttpMetrics::register);
    let totals = async |Ready(store): Ready<Store>| {
        store.reserved().await.map(|reserved| Json(json!({"reserved": reserved}))).map_err(|_| not_ready())
    };
    let business = grpc_route(server, program.faults(), &guards);
    let router = measured
        .measure(business.merge(Router::new().route("/totals", get(totals)).with_state(gate.clone())))
        .merge(health_route)
        .merge(probes(gate.clone()))
        .merge(metrics.router())
        .merge(program.shown().router());
    let shown = program.shown();
    shown.stack(guards.stack());
    metrics.register_stack(guards.stack());
    let guards_stopping = stopping.clone();
    let start = async move {
        let Opened { store, durability } = arguments.common.open_store("inventory").await?;
        let levels = Arc::new(levels(Arc::clone(&store), arguments.stock).await?);
        let work = Work::new(COMMANDS_MAX);
        shown.scope(work.scope());
        work.spawn("keep-up", Arc::clone(&levels).keep_up(stopping));
        let reservations = reservations(Arc::clone(&store), durability);
        metrics.register_projection(levels.probe());
        metrics.register_repository(reservations.probe("reservations"));
        let apply = move |settings: ServerGuards| guards.stack().apply(&settings.incoming);
        work.spawn("guards", guarding.follow("inventory", guards_stopping, apply));
        gate.open(Arc::new(Store::new(reservations, levels, work.clone())));
        health.ready().await;
        let mut ending = ending();
        ending.add(Phase::Flush, "commands", async move {
            work.close().await;
            Ok(())
        });
        ending.add(Phase::Close, "store", async move { Ok(store.close().await?) });
        Ok(ending)
    };
    program.run(router, start).await
}
