//! Signatures of requests by HMAC-SHA256 (RFC 2104): who posted, and that nobody changed it.
//!
//! Comparing takes the same time wherever the difference is. Several secrets are allowed, so that one can be replaced
//! without a moment in which requests are refused: add the new one, change the sender, remove the old one.

mod keys;
mod replays;
mod scheme;
#[cfg(test)]
mod tests;

pub(super) use keys::Keys;
pub(super) use keys::Refused;
pub(super) use replays::Replays;
pub(super) use replays::Seen;
pub(super) use replays::Taken;
pub use scheme::Encoding;
pub use scheme::Scheme;
pub use scheme::Signature;
