//! The last good answer to the same question.

use std::fmt;
use std::future::{Ready, ready};
use std::hash::Hash;
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::time::Instant;

use super::LastGoodPolicy;
use super::policy::{Substitute, Substituted};

/// Substitutes by the last good answer; made by [`FallbackLayer::last_good`](super::FallbackLayer::last_good).
pub struct LastGood<F, K, Response> {
    key: F,
    age_max: Duration,
    answers: Cache<K, (Instant, Response)>,
}

impl<F, K: Eq + Hash, Response: Clone> LastGood<F, K, Response> {
    pub(super) fn new(policy: LastGoodPolicy, key: F) -> Self {
        Self { key, age_max: policy.age_max, answers: Cache::new(policy.entries_max.max(1)) }
    }
}

impl<F, K, Req, Response, E> Substitute<Req, Response, E> for LastGood<F, K, Response>
where
    F: Fn(&Req) -> Option<K>,
    K: Eq + Hash,
    Response: Clone,
{
    type Kept = Option<K>;
    type Future = Ready<Result<Response, E>>;

    fn keep(&self, request: &Req) -> Option<K> {
        (self.key)(request)
    }

    fn succeeded(&self, key: Option<K>, response: &Response) {
        if let Some(key) = key {
            self.answers.insert(key, (Instant::now(), response.clone()));
        }
    }

    fn failed(&self, key: Option<K>, failure: Result<Response, E>) -> Substituted<Response, E, Self::Future> {
        let Some(key) = key else { return Substituted::Nothing(failure) };
        match self.answers.get(&key) {
            Some((since, response)) if since.elapsed() <= self.age_max => {
                Substituted::Answer(ready(Ok(response)))
            }
            Some(_) => {
                self.answers.remove(&key);
                Substituted::Nothing(failure)
            }
            None => Substituted::Nothing(failure),
        }
    }
}

impl<F, K, Response> fmt::Debug for LastGood<F, K, Response> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LastGood").field("age_max", &self.age_max).finish_non_exhaustive()
    }
}
