use std::time::Duration;

use serde::Deserialize;
use steadfast_base::units::{HumanDuration, Size};
use steadfast_core::store::Durability;

use super::Signature;

/// What an [`Intake`](super::Intake) takes, and what it promises.
///
/// # Examples
/// ```
/// use steadfast_backends::http::Config;
///
/// let config: Config = serde_json::from_str(
///     r#"{"durability": "durable", "bodyMax": "64KiB", "signature": {"scheme": "github", "secrets": ["hunter2"]}}"#,
/// )?;
/// assert_eq!(config.batch_max, 1000);
/// assert!(!format!("{config:?}").contains("hunter2"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// What must be achieved before 202 is answered.
    pub durability: Durability,
    /// The longest body.
    pub body_max: Size,
    /// The most events in a batch.
    pub batch_max: usize,
    /// How many requests are worked on at the same time, at least 1; one more is answered 429. With `body_max` it
    /// bounds the memory.
    pub in_flight_max: usize,
    /// How long a request may take, reading its body included.
    pub deadline: HumanDuration,
    /// What `Retry-After` says where the sink does not; whole seconds, rounded up.
    pub retry_after: HumanDuration,
    /// Who may post; none lets anybody.
    pub signature: Option<Signature>,
    /// Takes requests that are not CloudEvents too; none refuses them.
    pub plain: Option<Plain>,
}

impl Default for Config {
    /// Accepted, 1 MiB, 1,000 events a batch, 256 requests in flight, 10 s, again after 1 s, unsigned.
    fn default() -> Self {
        Self {
            durability: Durability::Accepted,
            body_max: Size::from_mebibytes(1),
            batch_max: 1000,
            in_flight_max: 256,
            deadline: HumanDuration(Duration::from_secs(10)),
            retry_after: HumanDuration(Duration::from_secs(1)),
            signature: None,
            plain: None,
        }
    }
}

/// How a request that is not a CloudEvent becomes an event: its body is the data, its headers say the rest.
///
/// # Examples
/// ```
/// use steadfast_backends::http::Plain;
///
/// // A webhook of GitHub.
/// let plain: Plain = serde_json::from_str(
///     r#"{"source": "/github", "type": "github", "typeHeader": "x-github-event", "idHeader": "x-github-delivery"}"#,
/// )?;
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Plain {
    /// The attribute `source`.
    pub source: String,
    /// The attribute `type`, or what stands before the first dot of it if there is a `typeHeader`.
    pub r#type: String,
    /// The header whose value stands in `type` behind a dot.
    pub type_header: Option<String>,
    /// The header that identifies the event, so that one that is sent again is recognised; without it each request
    /// is an event of its own.
    pub id_header: Option<String>,
}
