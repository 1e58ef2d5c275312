use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use steadfast::base::Deadline;
use steadfast::problem::Problem;

use super::Api;
use super::input::{Input, out_of_time, unsupported};
use super::problem::{no_such_order, unmappable};
use crate::host::{Ready, problem};
use crate::orders::command::{Answer, Error};
use crate::orders::domain::{Command, OrderId};
use crate::orders::edge;
use crate::orders::process::Waited;

/// `POST /orders`.
pub(super) async fn create(
    Ready(api): Ready<Api>,
    headers: HeaderMap,
    input: Input,
) -> Result<Response, Problem> {
    if !input.has_key {
        let detail = "send the header `Idempotency-Key`, new for each order and the same in each repetition";
        return Err(problem(StatusCode::BAD_REQUEST, "missing-key", "the idempotency key is missing")
            .with_detail(detail));
    }
    if !headers.contains_key(header::CONTENT_TYPE) {
        return Err(unsupported());
    }
    let details = Arc::new(edge::parse(&input.body).map_err(|error| unmappable(&error))?);
    let (orders, cause) = (Arc::clone(&api.orders), input.cause);
    let deadline = api.deadline.then_some(input.deadline);
    let command = api.work.finish(async move { orders.create(details, &cause).await });
    let answer = within(deadline, command).await?.map_err(Error::from)??;
    let location = format!("/orders/{}", answer.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(body(&answer))).into_response())
}

type Handled = Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send>>;

/// `POST /orders/{id}/VERB` for a command that concerns the order alone.
pub(super) fn transition(
    command: Command,
) -> impl Fn(Ready<Api>, Path<String>, Input) -> Handled + Clone + Send + Sync + 'static {
    move |Ready(api), Path(id), input| {
        let command = command.clone();
        Box::pin(async move {
            let (id, orders, cause) = (order_id(&id)?, Arc::clone(&api.orders), input.cause);
            let deadline = api.deadline.then_some(input.deadline);
            let command = api.work.finish(async move { orders.execute(id, &command, &cause).await });
            let answer = within(deadline, command).await?.map_err(Error::from)??;
            Ok(Json(body(&answer)).into_response())
        })
    }
}

/// `POST /orders/{id}/confirm`.
pub(super) async fn confirm(
    Ready(api): Ready<Api>,
    Path(id): Path<String>,
    input: Input,
) -> Result<Response, Problem> {
    let id = order_id(&id)?;
    let deadline = api.deadline.then_some(input.deadline);
    match api.manager.confirm(id, input.cause, deadline).await? {
        Waited::Done(answer) => Ok(Json(body(&answer)).into_response()),
        Waited::GoesOn => {
            let location: (HeaderName, String) = (header::LOCATION, format!("/orders/{id}"));
            let body = json!({"id": id, "state": "confirming"});
            Ok((StatusCode::ACCEPTED, [location], Json(body)).into_response())
        }
    }
}

pub(super) fn order_id(text: &str) -> Result<OrderId, Problem> {
    text.parse().map_err(|_| no_such_order())
}

fn body(answer: &Answer) -> serde_json::Value {
    json!({
        "id": answer.id,
        "state": answer.state,
        "revision": answer.revision.0,
        "customer": answer.details.customer,
        "total": answer.details.total.to_string(),
    })
}

/// Waits for the answer of a command, which goes on when the time is up.
async fn within<T>(deadline: Option<Deadline>, command: impl Future<Output = T>) -> Result<T, Problem> {
    match deadline {
        None => Ok(command.await),
        Some(deadline) => {
            tokio::time::timeout_at(deadline.instant(), command).await.map_err(|_| out_of_time())
        }
    }
}
