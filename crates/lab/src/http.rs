//! A small HTTP client for probes, scrapes and reading data back; the load has its own.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// A client with a deadline and a bound on every answer.
#[derive(Debug, Clone)]
pub struct Client {
    pool: Pool<HttpConnector, Empty<Bytes>>,
    timeout: Duration,
    body_bytes_max: usize,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: http::StatusCode,
    /// The body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("GET {url}: {problem}")]
pub struct Error {
    /// What was asked.
    pub url: String,
    /// What went wrong.
    pub problem: String,
}

impl Client {
    /// Makes a client that gives each request `timeout` and reads at most `body_bytes_max` bytes of an answer.
    pub fn new(timeout: Duration, body_bytes_max: usize) -> Self {
        Self { pool: Pool::builder(TokioExecutor::new()).build_http(), timeout, body_bytes_max }
    }

    /// Gets `url`; any status is an answer.
    ///
    /// # Errors
    /// No answer came in time, or it is larger than the bound.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the request.
    pub async fn get(&self, url: &str) -> Result<Answer, Error> {
        let failed = |problem: String| Error { url: url.to_owned(), problem };
        let uri: http::Uri = url.parse().map_err(|e| failed(format!("not a URL: {e}")))?;
        let exchange = async {
            let response = self.pool.get(uri).await.map_err(|e| failed(with_cause(&e)))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), self.body_bytes_max).collect().await;
            let body = body.map_err(|e| failed(format!("reading the body: {e}")))?.to_bytes();
            Ok(Answer { status, body })
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(failed(format!("no answer within {:?}", self.timeout))),
        }
    }
}

fn with_cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
