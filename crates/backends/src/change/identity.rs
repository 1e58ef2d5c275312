use steadfast_core::EventId;

/// Derives an event's identity from where it was read, so that an event that is read again has the same one and an
/// inbox recognises it: FNV-1a of 128 bits, marked as a UUID of version 8.
pub(crate) fn identity(origin: &str, position: &str) -> EventId {
    let mut hash = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128;
    for byte in origin.bytes().chain([0]).chain(position.bytes()) {
        hash = (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    let version = (hash & !(0xf << 76)) | (0x8 << 76);
    EventId::from_u128((version & !(0b11 << 62)) | (0b10 << 62))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn it_is_the_same_each_time_and_differs_by_place() {
        assert_eq!(identity("a", "1"), identity("a", "1"));
        let places = (0..10_000).map(|position| identity("origin", &position.to_string()));
        let others = (0..10_000).map(|position| identity("origim", &position.to_string()));
        assert_eq!(places.chain(others).collect::<HashSet<_>>().len(), 20_000);
        let text = identity("a", "1").to_string();
        assert!(text.as_bytes()[14] == b'8' && b"89ab".contains(&text.as_bytes()[19]), "{text}");
    }
}
