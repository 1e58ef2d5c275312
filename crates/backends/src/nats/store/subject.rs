//! Under which subjects messages lie.

use std::fmt::Write;

/// The subjects of one store: its name, and below it one for each stream of events and one for what belongs to none.
#[derive(Debug, Clone)]
pub(super) struct Subjects(pub(super) String);

impl Subjects {
    /// The pattern of all of them.
    pub(super) fn all(&self) -> String {
        format!("{}.>", self.0)
    }

    /// Where the events of `stream` lie.
    pub(super) fn stream(&self, stream: &str) -> String {
        let mut subject = format!("{}.stream.", self.0);
        for byte in stream.bytes() {
            if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
                subject.push(char::from(byte));
            } else {
                // What else may stand in a name could be a separator or a wildcard.
                let _ = write!(subject, "={byte:02X}");
            }
        }
        subject
    }

    /// Where the ends of batches over several streams, and identities of deleted events, lie.
    pub(super) fn common(&self) -> String {
        format!("{}.common", self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_names_stay_readable_and_others_are_one_token() {
        let subjects = Subjects("orders".to_owned());
        assert_eq!(subjects.stream("order-1_a"), "orders.stream.order-1_a");
        assert_eq!(subjects.stream("a.*> =é"), "orders.stream.a=2E=2A=3E=20=3D=C3=A9");
    }

    proptest! {
        #[test]
        fn different_names_have_different_subjects(names in prop::collection::vec(".{1,8}", 1..20)) {
            let subjects = Subjects("s".to_owned());
            let mut seen: HashMap<String, String> = HashMap::new();
            for name in names {
                let subject = subjects.stream(&name);
                prop_assert_eq!(subject.split('.').count(), 3);
                let before = seen.insert(subject, name.clone());
                prop_assert!(before.is_none_or(|before| before == name));
            }
        }
    }
}
