//! A value that is made on the spot.

use std::fmt;
use std::future::{Ready, ready};

use super::policy::{Substitute, Substituted};

/// Substitutes by a function of the failure; made by [`FallbackLayer::value`](super::FallbackLayer::value).
#[derive(Clone)]
pub struct Value<F>(pub(super) F);

impl<F, Req, Response, E> Substitute<Req, Response, E> for Value<F>
where
    F: Fn(&Result<Response, E>) -> Option<Response>,
{
    type Kept = ();
    type Future = Ready<Result<Response, E>>;

    fn keep(&self, _: &Req) {}

    fn failed(&self, (): (), failure: Result<Response, E>) -> Substituted<Response, E, Self::Future> {
        match (self.0)(&failure) {
            Some(response) => Substituted::Answer(ready(Ok(response))),
            None => Substituted::Nothing(failure),
        }
    }
}

impl<F> fmt::Debug for Value<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value").finish_non_exhaustive()
    }
}
