use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, RawQuery};
use axum::http::StatusCode;
use futures::TryStreamExt;
use serde_json::{Value, json};
use steadfast::base::Deadline;
use steadfast::core::store::{self, Filter, Position, StoredEvent};
use steadfast::problem::Problem;

use super::Api;
use super::command::order_id;
use super::input::out_of_time;
use super::problem::no_such_order;
use crate::host::{Ready, problem, rfc3339};
use crate::orders::command::Error;
use crate::orders::log;
use crate::orders::view::Snapshot;

const LIMIT_DEFAULT: u64 = 100;
const LIMIT_MAX: u64 = 1000;
/// How long reading a page of the log may take.
const READ_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);

/// `GET /orders/{id}`.
pub(super) async fn order(Ready(api): Ready<Api>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let id = order_id(&id)?;
    let entry = api.orders.look(|book| book.order(id).cloned()).ok_or_else(no_such_order)?;
    let details = entry.order.details().ok_or_else(no_such_order)?;
    let line = |line: &crate::orders::domain::Line| json!({"sku": line.sku, "quantity": line.quantity, "unitPrice": line.unit_price.to_string()});
    Ok(Json(json!({
        "id": id,
        "state": entry.order.state(),
        "revision": entry.revision.map(|revision| revision.0),
        "customer": details.customer,
        "total": details.total.to_string(),
        "lines": details.lines.iter().map(line).collect::<Vec<_>>(),
    })))
}

/// `GET /orders/{id}/events`.
pub(super) async fn order_events(
    Ready(api): Ready<Api>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let id = order_id(&id)?;
    api.orders.look(|book| book.order(id).map(|_| ())).ok_or_else(no_such_order)?;
    page(&api, Filter::stream(log::order_stream(id)), &Page::of(query)?).await
}

/// `GET /events`.
pub(super) async fn events(
    Ready(api): Ready<Api>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let kinds = log::ORDER_KINDS.map(Arc::from).into();
    page(&api, Filter { kinds, ..Filter::default() }, &Page::of(query)?).await
}

/// `GET /notices`.
pub(super) async fn notices(
    Ready(api): Ready<Api>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let kinds = vec![Arc::from(log::NOTICE_SENT)];
    page(&api, Filter { kinds, ..Filter::default() }, &Page::of(query)?).await
}

/// `GET /totals`.
pub(super) async fn totals(Ready(api): Ready<Api>) -> Json<Snapshot> {
    Json(api.totals.snapshot())
}

/// Which part of the log is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Page {
    after: Position,
    limit: u64,
}

impl Page {
    fn of(query: Option<String>) -> Result<Self, Problem> {
        let wrong = |detail: &str| {
            problem(StatusCode::BAD_REQUEST, "wrong-query", "the query is wrong")
                .with_detail(detail.to_owned())
        };
        let uri = format!("/?{}", query.unwrap_or_default());
        let uri = uri.parse().map_err(|_| wrong("it cannot be read"))?;
        let Query(pairs) =
            Query::<Vec<(String, String)>>::try_from_uri(&uri).map_err(|e| wrong(&e.to_string()))?;
        let mut page = Self { after: Position::START, limit: LIMIT_DEFAULT };
        for (name, value) in pairs {
            match &*name {
                // The first page has no cursor yet.
                "after" if value.is_empty() => {}
                "after" => {
                    page.after = value.parse().map_err(|_| wrong("`after` is not a cursor of ours"))?;
                }
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
                    page.limit = limit.ok_or_else(|| wrong(&format!("`limit` must be 1 to {LIMIT_MAX}")))?;
                }
                _ => return Err(wrong("it may have `after` and `limit`")),
            }
        }
        Ok(page)
    }
}

async fn page(api: &Api, filter: Filter, page: &Page) -> Result<Json<Value>, Problem> {
    let query =
        store::Query { filter, from: Some(page.after), limit: Some(page.limit), ..store::Query::default() };
    let read = api.orders.store().read(query).try_collect::<Vec<_>>();
    let deadline = Deadline::within(READ_WITHIN);
    let events = tokio::time::timeout_at(deadline.instant(), read).await.map_err(|_| out_of_time())?;
    let events = events.map_err(Error::Store)?;
    let next = events.last().map_or(page.after, |stored| stored.position).to_string();
    Ok(Json(json!({"events": events.iter().map(event).collect::<Vec<_>>(), "next": next})))
}

fn event(stored: &StoredEvent) -> Value {
    json!({
        "position": stored.position.to_string(),
        "id": stored.event.id().to_string(),
        "subject": stored.event.subject(),
        "type": stored.event.kind(),
        "revision": stored.revision.0,
        "commandId": log::command_id(&stored.event),
        "time": rfc3339(stored.event.time()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_bounded() {
        let of = |query: &str| Page::of(Some(query.to_owned())).map_err(|problem| problem.status());
        assert_eq!(of("after=&limit=1000"), Ok(Page { after: Position::START, limit: 1000 }));
        assert_eq!(of(""), Ok(Page { after: Position::START, limit: LIMIT_DEFAULT }));
        for bad in ["limit=0", "limit=1001", "limit=-1", "limit=x", "after=x", "after=1.2.3", "page=2"] {
            assert_eq!(of(bad), Err(StatusCode::BAD_REQUEST), "{bad}");
        }
    }
}
