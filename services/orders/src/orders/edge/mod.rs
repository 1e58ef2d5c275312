//! Where the outside's words become ours: Shopify's payload of topic `orders/create` to [`Details`].
//!
//! Unknown fields are ignored, for the sender adds some with each version. Missing and wrong ones are named.
//!
//! [`Details`]: super::domain::Details

mod map;
mod payload;

pub use map::Unmappable;
pub use map::parse;
