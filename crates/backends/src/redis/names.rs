//! The names of keys, which are part of the format: others may read it.

use super::Config;

pub(super) const SHARDS_MAX: u32 = 1024;

/// Returns the stream of a shard: the name itself if there is one shard only, so that it is an ordinary stream.
pub(super) fn stream(config: &Config, shard: u32) -> String {
    if config.shards == 1 { config.stream.clone() } else { format!("{}:{shard}", config.stream) }
}

/// Which receiver owns which shard of a group: a hash.
pub(super) fn owners(config: &Config, group: &str) -> String {
    format!("{}:owners:{group}", config.stream)
}

/// The receivers of a group, with the last sign of life of each: a hash.
pub(super) fn alive(config: &Config, group: &str) -> String {
    format!("{}:alive:{group}", config.stream)
}

/// Where entries go that are no events: a stream.
pub(super) fn refused(config: &Config) -> String {
    format!("{}:refused", config.stream)
}

/// How many shards there are: a string.
pub(super) fn shards(config: &Config) -> String {
    format!("{}:shards", config.stream)
}

/// What the keys begin with by which identities are remembered.
pub(super) fn id_prefix(config: &Config) -> String {
    format!("{}:id:", config.stream)
}
