//! Positions as identities of entries and as members of an index.

use steadfast_core::store::Position;

/// The most that an index has digits for.
const MAX: (u64, u64) = ((1 << 48) - 1, (1 << 32) - 1);

/// Writes a position as the identity of an entry.
pub(super) fn id(position: Position) -> String {
    let (milliseconds, sequence) = position.parts();
    format!("{milliseconds}-{sequence}")
}

/// Reads the identity of an entry.
pub(super) fn parse(id: &str) -> Option<Position> {
    let (milliseconds, sequence) = id.split_once('-')?;
    Some(Position::from_parts(milliseconds.parse().ok()?, sequence.parse().ok()?))
}

/// Writes a position as an index has it: in an order of texts that is the order of positions.
pub(super) fn member(position: Position) -> String {
    let (milliseconds, sequence) = position.parts();
    if milliseconds > MAX.0 {
        return format!("{:012x}{:08x}", MAX.0, MAX.1);
    }
    format!("{milliseconds:012x}{:08x}", sequence.min(MAX.1))
}

/// Returns the first position after this one.
pub(super) fn after(position: Position) -> Position {
    match position.parts() {
        (u64::MAX, u64::MAX) => position,
        (milliseconds, u64::MAX) => Position::from_parts(milliseconds + 1, 0),
        (milliseconds, sequence) => Position::from_parts(milliseconds, sequence + 1),
    }
}

/// Returns the last position before this one.
pub(super) fn before(position: Position) -> Position {
    match position.parts() {
        (0, 0) => position,
        (milliseconds, 0) => Position::from_parts(milliseconds - 1, u64::MAX),
        (milliseconds, sequence) => Position::from_parts(milliseconds, sequence - 1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn positions_survive_and_keep_their_order(a in (0..1_u64 << 48, 0..1_u64 << 32), b in (0..1_u64 << 48, 0..1_u64 << 32)) {
            let [first, second] = [a, b].map(|(ms, sequence)| Position::from_parts(ms, sequence));
            prop_assert_eq!(parse(&id(first)), Some(first));
            prop_assert_eq!(member(first).cmp(&member(second)), first.cmp(&second));
            prop_assert_eq!(before(after(first)), first);
        }
    }

    #[test]
    fn the_ends_are_their_own_neighbours() {
        let end = Position::from_parts(u64::MAX, u64::MAX);
        assert_eq!((before(Position::START), after(end)), (Position::START, end));
        assert_eq!(before(Position::from_parts(3, 0)), Position::from_parts(2, u64::MAX));
        assert_eq!(after(Position::from_parts(2, u64::MAX)), Position::from_parts(3, 0));
        assert!(member(end) >= member(Position::from_parts(5, 5)));
        assert_eq!(member(end).len(), 20);
    }
}
