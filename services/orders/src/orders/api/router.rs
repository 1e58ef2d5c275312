use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::{get, post};
use steadfast::fault::FaultLayer;

use super::{command, read, stock};
use crate::host::{Gate, Incoming, Work, problem};
use crate::orders::command::Orders;
use crate::orders::domain::Command;
use crate::orders::process::Manager;
use crate::orders::stock::Reader;
use crate::orders::view::Totals;

/// The largest body of a request, in bytes; the example payload has 15 KiB.
const BODY_MAX: usize = 256 * 1024;

/// What the interface stands on.
pub struct Api {
    /// Carries commands out.
    pub orders: Arc<Orders>,
    /// Confirms.
    pub manager: Arc<Manager>,
    /// Sums up.
    pub totals: Arc<Totals>,
    /// Asks what is free.
    pub stock: Reader,
    /// Where commands run to their end.
    pub work: Work,
    /// Whether the caller's deadline counts. Off only to show that proof finds it.
    pub deadline: bool,
}

/// Makes the routes, behind `guards`.
pub fn router(gate: Gate<Api>, faults: FaultLayer, guards: &Incoming) -> Router {
    let routes = Router::new()
        .route("/orders", post(command::create))
        .route("/orders/{id}", get(read::order))
        .route("/orders/{id}/confirm", post(command::confirm))
        .route("/orders/{id}/ship", post(command::transition(Command::Ship)))
        .route("/orders/{id}/return", post(command::transition(Command::Return)))
        .route("/orders/{id}/cancel", post(command::transition(Command::Cancel)))
        .route("/orders/{id}/events", get(read::order_events))
        .route("/events", get(read::events))
        .route("/notices", get(read::notices))
        .route("/totals", get(read::totals))
        .route("/stock/{sku}", get(stock::level))
        .method_not_allowed_fallback(async || {
            problem(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "not this method")
        })
        .fallback(async || problem(StatusCode::NOT_FOUND, "no-such-route", "there is nothing here"))
        .with_state(gate)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        // Innermost but for the limit, so that the deadline runs while a fault delays.
        .layer(faults);
    guards.routes(routes)
}
