use std::time::Duration;

use serde::Deserialize;
use steadfast_base::units::{HumanDuration, Size};
use steadfast_core::transport::Error;

use crate::postgres::error::configuration;

/// How long a name may be in PostgreSQL, in bytes.
const NAME_MAX: usize = 63;

/// Which tables are watched, and how.
///
/// # Examples
/// ```
/// use steadfast_backends::postgres::changes::Settings;
///
/// let settings: Settings = serde_json::from_str(r#"{"tables": ["orders", "audit.entries"]}"#)?;
/// assert_eq!(settings.slot, "steadfast");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Settings {
    /// The tables, as one writes them in SQL; with their schema, unless it is in the role's search path.
    pub tables: Vec<String>,
    /// What the slots' names begin with: lower-case letters, digits and underscores.
    pub slot: String,
    /// The publication's name.
    pub publication: String,
    /// Makes slots and publication where they are missing, and adds missing tables to the publication. Without it they
    /// must be there: then a slot that has vanished, as by a failover to a server that does not have it, is an error and
    /// not a gap. Where that matters, have [`Changes::install`](super::Changes::install) make them at deployment.
    pub create: bool,
    /// Has the server log the whole row as it was (`REPLICA IDENTITY FULL`), for which the role must own the tables.
    /// Setting it waits for whoever uses the table, at most 5 s. Partitions that are made later have to be set by hand.
    pub full_before: bool,
    /// The events' `source`; where it is empty, `/postgresql/` and the database's name.
    pub source: String,
    /// How large one row may be on the wire. A larger one ends receiving, for it may not be left out.
    pub row_size_max: Size,
    /// How long making a slot may wait for transactions that are open.
    pub create_timeout: HumanDuration,
    /// After how long without a word from the server the connection counts as lost, at least 100 ms; it is asked for one
    /// each third of that, at least each 5 s.
    pub silence_max: HumanDuration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tables: Vec::new(),
            slot: "steadfast".to_owned(),
            publication: "steadfast".to_owned(),
            create: true,
            full_before: false,
            source: String::new(),
            row_size_max: Size::from_mebibytes(64),
            create_timeout: HumanDuration(Duration::from_secs(30)),
            silence_max: HumanDuration(Duration::from_secs(90)),
        }
    }
}

impl Settings {
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.tables.is_empty() {
            return Err(configuration("tables", "is empty: name the tables to watch"));
        }
        if self.slot.is_empty() || self.slot.len() > NAME_MAX - 20 || !self.slot.bytes().all(is_slot_byte) {
            let problem = "takes up to 43 lower-case letters, digits and underscores";
            return Err(configuration("slot", problem));
        }
        if self.silence_max.0 < Duration::from_millis(100) {
            return Err(configuration("silenceMax", "takes at least 100ms"));
        }
        if self.publication.is_empty() || self.publication.len() > NAME_MAX {
            return Err(configuration("publication", "takes a name of 1 to 63 bytes"));
        }
        Ok(())
    }

    /// Names the group's slot. A group's name that a slot cannot have is told apart by a checksum.
    pub(super) fn slot_of(&self, group: &str) -> String {
        let room = NAME_MAX - self.slot.len() - 1;
        if !group.is_empty() && group.len() <= room && group.bytes().all(is_slot_byte) {
            return format!("{}_{group}", self.slot);
        }
        let readable: String = group
            .to_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .take(room - 17)
            .collect();
        let checksum = crate::change::identity("group", group).as_u128() as u64;
        format!("{}_{readable}_{checksum:016x}", self.slot)
    }
}

fn is_slot_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_has_a_slot_whose_name_is_allowed() {
        let settings = Settings { tables: vec!["t".into()], ..Settings::default() };
        assert_eq!(settings.slot_of("shipping"), "steadfast_shipping");
        let long = "x".repeat(100);
        let names = ["Shipping", "shipping!", "", &long, "日本"].map(|group| settings.slot_of(group));
        for (index, name) in names.iter().enumerate() {
            assert!(name.len() <= NAME_MAX && name.bytes().all(is_slot_byte), "{name}");
            assert!(!names[..index].contains(name));
        }
        let wrong = Settings { slot: "Upper".into(), ..settings };
        assert!(wrong.check().is_err());
    }
}
