use jiff::tz::{TimeZone, TimeZoneDatabase};

/// Finds a time zone in the system's database, which may be newer, else in the one that is built in.
pub(super) fn find(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok().or_else(|| built_in(name))
}

fn built_in(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_there_on_a_machine_without_a_database() {
        for name in ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"] {
            assert!(built_in(name).is_some(), "{name}");
        }
        assert!(find("Mars/Phobos").is_none());
    }
}
