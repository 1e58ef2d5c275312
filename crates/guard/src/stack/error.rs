//! Why a stack cannot be.

/// The settings of a stack contradict each other, or cannot be. Trying again cannot help: somebody has to mend them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting has a value that it cannot have, by itself or beside another.
    #[error("{guard}.{setting}: {problem}; {mend}")]
    Setting {
        /// The guard, as a configuration names it.
        guard: &'static str,
        /// The setting, as a configuration names it.
        setting: &'static str,
        /// What is wrong.
        problem: String,
        /// What to do.
        mend: &'static str,
    },
    /// A guard needs another one that is not there.
    #[error("{guard}: {problem}; {mend}")]
    Missing {
        /// The guard, as a configuration names it.
        guard: &'static str,
        /// What is wrong.
        problem: &'static str,
        /// What to do.
        mend: &'static str,
    },
    /// A guard was not named when the stack was built, so that there is no place for it.
    #[error("{guard}: this stack has no place for it; {}", mend(guard))]
    NotNamed {
        /// The guard, as a configuration names it.
        guard: &'static str,
    },
}

/// Says how a guard gets a place.
fn mend(guard: &str) -> &'static str {
    match guard {
        "fallback" => "name it when the stack is built, for what it substitutes is code",
        "keyedRateLimit" => "name it when the stack is built, for what the key of a request is is code",
        _ => "name it when the stack is built, or build the stack by `configured`",
    }
}
