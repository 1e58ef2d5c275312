//! Each error as the client sees it.

use steadfast_core::store;

use crate::host::Problem;
use crate::orders::command::Error;
use crate::orders::domain::Refused;
use crate::orders::edge::Unmappable;
use crate::orders::process::Reason;

pub(super) fn no_such_order() -> Problem {
    Problem::new(404, "no-such-order", "There is no such order")
}

pub(super) fn unmappable(error: &Unmappable) -> Problem {
    let problem = match error {
        Unmappable::Syntax(_) => Problem::new(400, "no-json", "The body is not JSON"),
        Unmappable::Shape(_) => Problem::new(422, "wrong-shape", "The body is not an order"),
        Unmappable::Missing { .. } => Problem::new(422, "missing-field", "A field is missing"),
        Unmappable::Wrong { .. } => Problem::new(422, "wrong-field", "A field is wrong"),
    };
    let problem = problem.detail(error.to_string());
    match error.field() {
        Some(field) => problem.with("field", field),
        None => problem,
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(Refused::NotFound) => no_such_order(),
            Error::Refused(refused @ Refused::Illegal { from, command }) => {
                Self::new(409, "illegal-transition", "The order does not allow it")
                    .detail(refused.to_string())
                    .with("state", from.to_string())
                    .with("command", command)
            }
            Error::KeyReused => {
                Self::new(422, "key-reused", "The idempotency key was used for another request")
            }
            Error::ConfirmationUnderWay => {
                Self::new(409, "confirmation-under-way", "The order is being confirmed under another key")
            }
            Error::NotConfirmed(reason) => not_confirmed(&reason),
            Error::Overloaded => Self::overloaded(),
            Error::Store(error) => {
                tracing::error!(%error, "the log refused a command");
                let busy = matches!(error, store::Error::Overloaded);
                if busy { Self::overloaded() } else { Self::not_ready() }
            }
        }
    }
}

/// What was done for the order has been taken back, or is being.
fn not_confirmed(reason: &Reason) -> Problem {
    match reason {
        Reason::Refused(because) => {
            Problem::new(409, "confirmation-refused", "The order cannot be confirmed")
                .detail(because.as_str())
        }
        Reason::Unavailable(because) => {
            Problem::new(502, "dependency-unavailable", "A dependency stayed unavailable")
                .detail(format!("{because}; ask again with a new key"))
        }
    }
}
