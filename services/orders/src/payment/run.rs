use std::sync::Arc;

use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use steadfast::shutdown::Phase;
use steadfast::telemetry::Metrics;
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;

use super::grpc::{Ledger, Service};
use super::log::{Charged, charges};
use crate::host::{
    Common, Gate, Health, HttpMetrics, Incoming, Opened, Program, Ready, ServerGuards, Work, ending,
    grpc_route, not_ready, probes,
};
use crate::proto::payment::payment_server::PaymentServer;

/// How many commands may run at once.
const COMMANDS_MAX: usize = 2048;
/// The largest message of a call, in bytes.
const MESSAGE_MAX: usize = 64 * 1024;

/// Takes money for orders: gRPC payment.v1, idempotent by key, event-sourced.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "payment", version)]
pub struct Arguments {
    /// What all three programs take.
    #[command(flatten)]
    pub common: Common,
}

/// Runs the program until `stopping` is cancelled.
///
/// # Errors
/// The port or the log cannot be opened, or the log cannot be closed.
pub async fn run(arguments: Arguments, stopping: CancellationToken) -> anyhow::Result<()> {
    let guarding = arguments.common.guarding.clone();
    let guards = Incoming::new("payment", &guarding.load::<ServerGuards>("payment")?.incoming)?;
    let program = Program::bind(&arguments.common, stopping.clone()).await?;
    let gate = Gate::<Ledger>::default();
    let server = PaymentServer::new(Service(gate.clone())).max_decoding_message_size(MESSAGE_MAX);
    let (health, health_route) = Health::new(<PaymentServer<Service> as NamedService>::NAME).await;
    let metrics = Metrics::new("payment");
    let measured = metrics.register(HttpMetrics::register);
    let totals = async |Ready(ledger): Ready<Ledger>| {
        ledger.charged().await.map(|charged| Json(json!({"charged": charged}))).map_err(|_| not_ready())
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
        let Opened { store, durability } = arguments.common.open_store("payment").await?;
        let charged = Arc::new(Charged::load(Arc::clone(&store)).await?);
        let work = Work::new(COMMANDS_MAX);
        shown.scope(work.scope());
        work.spawn("keep-up", Arc::clone(&charged).keep_up(stopping));
        let apply = move |settings: ServerGuards| guards.stack().apply(&settings.incoming);
        work.spawn("guards", guarding.follow("payment", guards_stopping, apply));
        let charges = charges(Arc::clone(&store), durability);
        metrics.register_projection(charged.probe());
        metrics.register_repository(charges.probe("charges"));
        gate.open(Arc::new(Ledger::new(charges, charged, work.clone())));
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
