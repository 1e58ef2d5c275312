//! Names made at compile time, and checks made there; for [`machine!`](crate::machine!) alone.

/// Returns how long `name` is in `snake_case`.
pub const fn snake_case_len(name: &str) -> usize {
    let name = name.as_bytes();
    let (mut length, mut at) = (0, 0);
    while at < name.len() {
        length += if starts_word(name, at) { 2 } else { 1 };
        at += 1;
    }
    length
}

/// Writes `name` in `snake_case`; `LENGTH` is what [`snake_case_len`] says.
pub const fn snake_case<const LENGTH: usize>(name: &str) -> [u8; LENGTH] {
    let name = name.as_bytes();
    let mut snake = [b'_'; LENGTH];
    let (mut length, mut at) = (0, 0);
    while at < name.len() {
        if starts_word(name, at) {
            length += 1;
        }
        snake[length] = name[at].to_ascii_lowercase();
        length += 1;
        at += 1;
    }
    snake
}

/// Makes text of what [`snake_case`] has written.
pub const fn text(snake: &[u8]) -> &str {
    match std::str::from_utf8(snake) {
        Ok(text) => text,
        Err(_) => panic!("the name of a variant is text"),
    }
}

/// Refuses a declaration in which a state lists a command twice.
pub const fn assert_deterministic(pairs: &[(usize, usize)]) {
    let mut one = 0;
    while one < pairs.len() {
        let mut other = one + 1;
        while other < pairs.len() {
            let same = pairs[one].0 == pairs[other].0 && pairs[one].1 == pairs[other].1;
            assert!(!same, "a state lists the same command twice");
            other += 1;
        }
        one += 1;
    }
}

/// Returns whether an underscore stands before the letter `at`: `InReview`, `HttpV2`, `HTTPError`.
const fn starts_word(name: &[u8], at: usize) -> bool {
    if at == 0 || !name[at].is_ascii_uppercase() {
        return false;
    }
    let after_capital = name[at - 1].is_ascii_uppercase();
    let before_small = at + 1 < name.len() && name[at + 1].is_ascii_lowercase();
    name[at - 1] != b'_' && (!after_capital || before_small)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_set_apart() {
        macro_rules! snake {
            ($name:literal) => {{
                const SNAKE: [u8; snake_case_len($name)] = snake_case($name);
                text(&SNAKE)
            }};
        }
        assert_eq!(snake!("Created"), "created");
        assert_eq!(snake!("InReview"), "in_review");
        assert_eq!(snake!("HTTPError"), "http_error");
        assert_eq!(snake!("HttpV2"), "http_v2");
        assert_eq!(snake!("A"), "a");
        assert_eq!(snake!("AB"), "ab");
        assert_eq!(snake!("Level2Of3"), "level2_of3");
    }

    #[test]
    fn one_command_leads_one_way() {
        assert_deterministic(&[(0, 0), (0, 1), (1, 0)]);
        assert!(std::panic::catch_unwind(|| assert_deterministic(&[(0, 1), (1, 0), (0, 1)])).is_err());
    }
}
