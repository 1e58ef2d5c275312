//! Each error as the client sees it.

use axum::http::StatusCode;
use steadfast::core::machine::Illegal;
use steadfast::core::store;
use steadfast::problem::Problem;

use super::input::out_of_time;
use crate::host::{not_ready, overloaded, problem};
use crate::orders::command::Error;
use crate::orders::domain::Refused;
use crate::orders::edge::Unmappable;
use crate::orders::process::Reason;

pub(super) fn no_such_order() -> Problem {
    problem(StatusCode::NOT_FOUND, "no-such-order", "there is no such order")
}

pub(super) fn unmappable(error: &Unmappable) -> Problem {
    let problem = match error {
        Unmappable::Syntax(_) => problem(StatusCode::BAD_REQUEST, "no-json", "the body is not JSON"),
        Unmappable::Shape(_) => {
            problem(StatusCode::UNPROCESSABLE_ENTITY, "wrong-shape", "the body is not an order")
        }
        Unmappable::Missing { .. } => {
            problem(StatusCode::UNPROCESSABLE_ENTITY, "missing-field", "a field is missing")
        }
        Unmappable::Wrong { .. } => {
            problem(StatusCode::UNPROCESSABLE_ENTITY, "wrong-field", "a field is wrong")
        }
    };
    let problem = problem.with_detail(error.to_string());
    match error.field() {
        Some(field) => problem.with("field", field),
        None => problem,
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(Refused::NotFound) => no_such_order(),
            Error::Refused(refused @ Refused::Illegal(Illegal { from, command })) => {
                problem(StatusCode::CONFLICT, "illegal-transition", "the order does not allow it")
                    .with_detail(refused.to_string())
                    .with("state", from.to_string())
                    .with("command", command.as_str())
            }
            Error::KeyReused => problem(
                StatusCode::UNPROCESSABLE_ENTITY,
                "key-reused",
                "the idempotency key was used for another request",
            ),
            Error::ConfirmationUnderWay => problem(
                StatusCode::CONFLICT,
                "confirmation-under-way",
                "the order is being confirmed under another key",
            ),
            Error::NotConfirmed(reason) => not_confirmed(&reason),
            Error::OutOfTime => out_of_time(),
            Error::Overloaded => overloaded(),
            Error::Store(error) => {
                tracing::error!(%error, "the log refused a command");
                let busy = matches!(error, store::Error::Overloaded);
                if busy { overloaded() } else { not_ready() }
            }
        }
    }
}

/// What was done for the order has been taken back, or is being.
fn not_confirmed(reason: &Reason) -> Problem {
    match reason {
        Reason::Refused(because) => {
            problem(StatusCode::CONFLICT, "confirmation-refused", "the order cannot be confirmed")
                .with_detail(because.clone())
        }
        Reason::Unavailable(because) => {
            problem(StatusCode::BAD_GATEWAY, "dependency-unavailable", "a dependency stayed unavailable")
                .with_detail(format!("{because}; ask again with a new key"))
        }
    }
}
