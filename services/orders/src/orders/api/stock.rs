use axum::Json;
use axum::extract::{Path, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use steadfast::base::Context;
use steadfast::guard::Rejection;
use steadfast::problem::Problem;

use super::input::answer_by;
use crate::host::{Ready, problem};
use crate::orders::api::Api;
use crate::orders::domain::Sku;
use crate::orders::process::CallError;
use crate::orders::stock::Question;

/// `GET /stock/{sku}`. What inventory said before says so, by `fresh` and by the header `Age` of RFC 9111.
pub(super) async fn level(
    Ready(api): Ready<Api>,
    Path(sku): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let sku: Sku = sku.parse().map_err(|error: crate::orders::domain::Invalid| {
        problem(StatusCode::BAD_REQUEST, "wrong-sku", "the SKU is wrong").with_detail(error.to_string())
    })?;
    let question = Question::new(sku.clone(), Some(answer_by(&request)?), request.trace());
    let level = api.stock.level(question).await.map_err(|error| unanswered(&error))?;
    let body = Json(json!({"sku": sku, "free": level.free, "fresh": level.age.is_none()}));
    Ok(match level.age {
        Some(age) => ([(header::AGE, age.as_secs().to_string())], body).into_response(),
        None => body.into_response(),
    })
}

fn unanswered(error: &CallError) -> Problem {
    match error {
        CallError::Rejected(rejection) => (*rejection).into(),
        CallError::Status(_) if error.is_out_of_time() => Rejection::DeadlineExceeded.into(),
        CallError::Status(_) => {
            problem(StatusCode::BAD_GATEWAY, "dependency-unavailable", "a dependency stayed unavailable")
                .with_detail(format!("inventory: {error}"))
        }
    }
}
