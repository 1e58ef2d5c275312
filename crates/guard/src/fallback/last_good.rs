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
    mark: Mark<Response>,
    answers: Cache<K, (Instant, Response)>,
}

/// Marks an answer that stands in for another, by its age.
type Mark<Response> = fn(&mut Response, Duration);

impl<F, K: Eq + Hash, Response: Clone> LastGood<F, K, Response> {
    pub(super) fn new(policy: LastGoodPolicy, key: F, mark: Mark<Response>) -> Self {
        Self { key, age_max: policy.age_max, mark, answers: Cache::new(policy.entries_max.max(1)) }
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
        let Some((since, mut response)) = self.answers.get(&key) else {
            return Substituted::Nothing(failure);
        };
        // Read once, so that what is handed out is marked by the age that was judged.
        let age = since.elapsed();
        if age > self.age_max {
            self.answers.remove(&key);
            return Substituted::Nothing(failure);
        }
        (self.mark)(&mut response, age);
        Substituted::Answer(ready(Ok(response)))
    }
}

impl<F, K, Response> fmt::Debug for LastGood<F, K, Response> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LastGood").field("age_max", &self.age_max).finish_non_exhaustive()
    }
}
