/// Returns the shard of a partition key: FNV-1a over its bytes, modulo the number of shards. Events without a key
/// are in shard 0. It is part of the format: others may send events too.
pub(crate) fn shard_of(key: Option<&str>, shards: u32) -> u32 {
    let Some(key) = key else { return 0 };
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    // The low bits of FNV-1a are the weak ones.
    ((hash ^ (hash >> 32)) % u64::from(shards)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_spread_and_stay_where_they_are() {
        let mut counts = [0_u32; 16];
        for key in 0..16_000 {
            counts[shard_of(Some(&format!("order-{key}")), 16) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
        assert_eq!(shard_of(None, 16), 0);
        // Written down, for a change would send a key's events to another shard than those before them.
        assert_eq!(["a", "order-1", "order-2"].map(|key| shard_of(Some(key), 16)), [0, 2, 11]);
    }
}
