use std::time::Duration;

use serde::Deserialize;
use steadfast_base::units::HumanDuration;
use steadfast_core::store::Durability;

use crate::http::Signature;
use crate::{Secret, Tls};

/// Where an [`HttpSink`](super::HttpSink) posts events, and how.
///
/// # Examples
/// ```
/// use steadfast_backends::http::{Mode, SinkConfig};
///
/// let config: SinkConfig = serde_json::from_str(
///     r#"{"url": "https://shop.example/events", "mode": "batched", "authorization": "Bearer hunter2"}"#,
/// )?;
/// assert_eq!((config.mode, config.batch_max), (Mode::Batched, 100));
/// assert!(!format!("{config:?}").contains("hunter2"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct SinkConfig {
    /// The URL, `http://` or `https://`.
    pub url: String,
    /// How requests carry events.
    pub mode: Mode,
    /// The most events of a request in batched mode, at least 1. A batch that is answered 413 is posted in parts.
    pub batch_max: usize,
    /// How many requests may be on their way at the same time, 1 to 1024. With 1 all events arrive in the order in which
    /// they were sent; with more those of one key do, and those without a key: the keys are spread over so many lanes.
    pub requests_max: u32,
    /// What the other side is known to achieve before it answers with 2xx, if it does not say so itself by the header
    /// [`DURABILITY_HEADER`](super::super::DURABILITY_HEADER).
    pub durability: Durability,
    /// The header `Authorization`.
    pub authorization: Option<Secret>,
    /// How requests are signed; none leaves them unsigned.
    pub signature: Option<Signature>,
    /// Whom to trust under `https://`.
    pub tls: Tls,
    /// How long connecting may take.
    pub connect_within: HumanDuration,
    /// How long one request may take; the deadline of sending may be earlier.
    pub answer_within: HumanDuration,
    /// After what time a connection that is not used is closed; less than the other side's, for a request sent into a
    /// connection that is being closed may have to be repeated.
    pub idle_max: HumanDuration,
}

impl Default for SinkConfig {
    /// Binary mode, one request at a time, [`Durability::Accepted`], connects within 2 s, waits 10 s for an answer, keeps connections for
    /// 10 s. The URL is to be set.
    fn default() -> Self {
        Self {
            url: String::new(),
            mode: Mode::Binary,
            batch_max: 100,
            requests_max: 1,
            durability: Durability::Accepted,
            authorization: None,
            signature: None,
            tls: Tls::default(),
            connect_within: HumanDuration(Duration::from_secs(2)),
            answer_within: HumanDuration(Duration::from_secs(10)),
            idle_max: HumanDuration(Duration::from_secs(10)),
        }
    }
}

/// How a request carries events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// One event, its attributes in headers, its data as the body.
    #[default]
    Binary,
    /// One event as JSON.
    Structured,
    /// Several events as a JSON array.
    Batched,
}
