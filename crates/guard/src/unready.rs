//! What a service has reserved is given back when its call waits.

/// Gives back what `ready` reserved when it was polled ready, and returns another service, which is not ready.
///
/// IMPORTANT: whoever owns the service may keep it for as long as its call takes, as a retry does. A call that waits here
/// for its turn would hold a permit of a limit below all that time, and those whose turn it is would wait for that permit.
/// A service has to be polled ready anew after each call, so that nobody misses what is given back.
pub(crate) fn unready<S: Clone>(ready: &mut S) -> S {
    *ready = ready.clone();
    ready.clone()
}
