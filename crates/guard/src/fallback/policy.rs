//! What stands in for an answer.

use std::future::Future;
use std::time::Duration;

/// Something that stands in for the answer of a callee that failed.
pub trait Substitute<Req, Response, E> {
    /// What is kept of a request until its answer is known.
    type Kept;
    /// The substitute, which may take time.
    type Future: Future<Output = Result<Response, E>>;

    /// Keeps what is needed of a request that is about to be sent.
    fn keep(&self, request: &Req) -> Self::Kept;

    /// Sees a good answer.
    fn succeeded(&self, _kept: Self::Kept, _response: &Response) {}

    /// Substitutes for `failure`, or hands it on.
    fn failed(
        &self,
        kept: Self::Kept,
        failure: Result<Response, E>,
    ) -> Substituted<Response, E, Self::Future>;
}

/// What becomes of a failure.
#[derive(Debug)]
pub enum Substituted<Response, E, F> {
    /// There is no substitute; this is the failure.
    Nothing(Result<Response, E>),
    /// Something else is the answer.
    Answer(F),
}

/// How many last good answers are kept, and for how long they are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastGoodPolicy {
    /// The most answers that are kept; 1 or more. Those that are used least go first.
    pub entries_max: usize,
    /// The oldest answer that is given.
    pub age_max: Duration,
}

impl Default for LastGoodPolicy {
    /// A thousand answers, at most five minutes old.
    fn default() -> Self {
        Self { entries_max: 1000, age_max: Duration::from_secs(300) }
    }
}
