use std::fmt;

/// One thing that was looked at before a run.
///
/// # Examples
/// ```
/// use steadfast_lab::admission::Check;
///
/// let check = Check::refused("disk", "10 MiB are free", "free at least 256 MiB");
/// assert_eq!(check.to_string(), "disk: 10 MiB are free; free at least 256 MiB");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at, in a word or two.
    pub name: &'static str,
    /// Whether the run may start as far as this goes.
    pub passed: bool,
    /// What was found.
    pub reason: String,
    /// What to do about it; empty where it passed.
    pub mend: String,
}

impl Check {
    /// Creates a check that passed.
    pub fn passed(name: &'static str, reason: impl Into<String>) -> Self {
        Self { name, passed: true, reason: reason.into(), mend: String::new() }
    }

    /// Creates a check that refuses the run.
    pub fn refused(name: &'static str, reason: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { name, passed: false, reason: reason.into(), mend: mend.into() }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.reason)?;
        if self.mend.is_empty() { Ok(()) } else { write!(f, "; {}", self.mend) }
    }
}
