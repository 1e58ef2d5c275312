//! The routes, each with its bounds.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use parking_lot::{Mutex, MutexGuard};
use steadfast_base::Classify;
use steadfast_guard::rate_limit::{Quota, RateLimiter};
use tokio::sync::Semaphore;

use super::query::{Format, ProfileQuery, RuntimeQuery};
use super::{Diagnostics, flame, runtime, stacks};
use crate::problem::Problem;

/// How many lists are given in a second; twice as many at once.
pub const LISTS_PER_SECOND: u32 = 10;

/// What all requests share.
struct Desk {
    diagnostics: Diagnostics,
    lists: RateLimiter,
    list: Mutex<()>,
    runtime: Semaphore,
    profile: Arc<Semaphore>,
}

type Answer = Result<Response, Problem>;

pub(super) fn routes<S: Clone + Send + Sync + 'static>(diagnostics: Diagnostics) -> Router<S> {
    let desk = Arc::new(Desk {
        diagnostics,
        lists: RateLimiter::new(Quota::per_second(LISTS_PER_SECOND).with_burst(2 * LISTS_PER_SECOND)),
        list: Mutex::new(()),
        runtime: Semaphore::new(1),
        profile: Arc::new(Semaphore::new(1)),
    });
    Router::new()
        .route("/diagnostics", get(kinds))
        .route("/diagnostics/runtime", get(observe))
        .route("/diagnostics/profile", get(profile))
        .route("/diagnostics/{kind}", get(list))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&desk), authorize))
        .with_state(desk)
}

/// Lets in who shows the token.
async fn authorize(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Answer {
    if is_authorized(&desk.diagnostics, request.headers()) {
        let mut response = next.run(request).await;
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        return Ok(response);
    }
    let mut refused = Problem::new(StatusCode::UNAUTHORIZED).into_response();
    refused.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    Ok(refused)
}

fn is_authorized(diagnostics: &Diagnostics, headers: &HeaderMap) -> bool {
    let shown = headers.get(header::AUTHORIZATION).and_then(|shown| shown.to_str().ok());
    let Some((scheme, token)) = shown.and_then(|shown| shown.split_once(' ')) else { return false };
    scheme.eq_ignore_ascii_case("bearer") && diagnostics.shared.token.is(token)
}

async fn kinds(State(desk): State<Arc<Desk>>) -> Answer {
    let _one = desk.one_list().map_err(busy)?;
    Ok(Json(desk.diagnostics.kinds()).into_response())
}

async fn list(State(desk): State<Arc<Desk>>, Path(kind): Path<String>) -> Answer {
    let _one = desk.one_list().map_err(busy)?;
    let list = desk.diagnostics.list(&kind).ok_or_else(|| Problem::new(StatusCode::NOT_FOUND))?;
    Ok(Json(list).into_response())
}

async fn observe(
    State(desk): State<Arc<Desk>>,
    query: Result<Query<RuntimeQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query.map_err(|rejection| wrong(&rejection))?;
    let _one = desk.runtime.try_acquire().map_err(|_| busy(query.window()))?;
    Ok(Json(runtime::observe(query.window()).await).into_response())
}

async fn profile(
    State(desk): State<Arc<Desk>>,
    query: Result<Query<ProfileQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query.map_err(|rejection| wrong(&rejection))?;
    let turn = Arc::clone(&desk.profile).try_acquire_owned().map_err(|_| busy(query.length()))?;
    let per_second = stacks::affordable(query.length(), query.per_second());
    let stacks = stacks::sample(query.length(), per_second, turn).await.map_err(|error| {
        tracing::warn!(%error, "there is no profile");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR).with_detail(error.to_string())
    })?;
    let (kind, text) = match query.format {
        Format::Folded => ("text/plain; charset=utf-8", stacks.folded()),
        Format::Svg => {
            let (samples, length) = (stacks.samples(), query.length().as_secs_f64());
            let title =
                format!("{samples} samples in {length:.1} s, {per_second} for each second of processor time");
            ("image/svg+xml", flame::svg(&stacks, &title))
        }
    };
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

impl Desk {
    /// Lets one list at a time be made, and not too many in a second; or says how long to wait.
    fn one_list(&self) -> Result<MutexGuard<'_, ()>, Duration> {
        match self.lists.try_acquire(1) {
            Ok(_) => self.list.try_lock().ok_or(Duration::from_millis(100)),
            Err(limited) => Err(limited.retry_after().unwrap_or(Duration::from_secs(1))),
        }
    }
}

fn busy(wait: Duration) -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS)
        .with_detail("diagnostics are given one at a time")
        .with_retry_after(wait)
}

fn wrong(rejection: &QueryRejection) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST).with_detail(rejection.body_text())
}
