//! How much a request matters when not all can be served.

use std::fmt;
use std::str::FromStr;

/// The class by which requests are chosen when there is room for some only; later ones go first.
///
/// The four classes are those of Beyer and others, *Site Reliability Engineering* (2016), chapter 21, where they are
/// called criticality. A class is given by whoever receives a request from outside, by what is asked for and by whom;
/// it is never believed from outside.
///
/// # Examples
/// ```
/// use steadfast_base::Priority;
///
/// assert!(Priority::Sheddable < Priority::default());
/// assert_eq!("critical-plus".parse(), Ok(Priority::CriticalPlus));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Being unavailable is expected from time to time: batch work that tries again by itself.
    Sheddable,
    /// Being unavailable in part is expected: work that can wait minutes or hours.
    SheddablePlus,
    /// Users notice a failure: the ordinary request.
    #[default]
    Critical,
    /// Users notice a failure at once and it costs: paying, logging in, health checks.
    CriticalPlus,
}

impl Priority {
    /// All classes, the one that matters least first.
    pub const ALL: [Self; 4] = [Self::Sheddable, Self::SheddablePlus, Self::Critical, Self::CriticalPlus];

    /// Returns the name that logs and metrics use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sheddable => "sheddable",
            Self::SheddablePlus => "sheddable-plus",
            Self::Critical => "critical",
            Self::CriticalPlus => "critical-plus",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Priority {
    type Err = UnknownPriority;

    fn from_str(text: &str) -> Result<Self, UnknownPriority> {
        Self::ALL.into_iter().find(|priority| priority.name() == text).ok_or(UnknownPriority)
    }
}

/// The text is the name of no [`Priority`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown priority, expected one of sheddable, sheddable-plus, critical, critical-plus")]
pub struct UnknownPriority;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_order_is_that_of_importance() {
        for priority in Priority::ALL {
            assert_eq!(priority.to_string().parse(), Ok(priority));
        }
        assert!(Priority::ALL.is_sorted());
        assert_eq!("urgent".parse::<Priority>(), Err(UnknownPriority));
    }
}
