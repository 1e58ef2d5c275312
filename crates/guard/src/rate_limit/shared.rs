//! A limiter that several processes share.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};

use super::{Decision, Error, Key, KeyedRateLimiter};

/// A limiter whose quotas are kept where other processes find them too.
///
/// Keys are text, for other processes must find the same quota by them. An implementation decides and takes in one
/// step, by the clock of where the quotas are kept.
pub trait SharedLimiter: Send + Sync {
    /// Why the quotas could not be reached. Whether calls pass then is for the caller to say.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Takes `permits` of the quota of `key`: the inner result says whether they conform.
    ///
    /// # Errors
    /// [`Self::Error`] when the quotas could not be reached; it is unknown then whether the permits were taken.
    fn acquire(
        &self,
        key: &str,
        permits: u32,
    ) -> impl Future<Output = Result<Result<Decision, Error>, Self::Error>> + Send;
}

/// The quotas of one process.
impl SharedLimiter for KeyedRateLimiter {
    type Error = Infallible;

    #[allow(refining_impl_trait, reason = "whoever has this limiter need not wait")]
    fn acquire(&self, key: &str, permits: u32) -> Ready<Result<Result<Decision, Error>, Infallible>> {
        ready(Ok(self.try_acquire(Key::of(key), permits)))
    }
}
