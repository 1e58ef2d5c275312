/// A quantity that cannot be read. Repeating cannot help; the text must be mended as `mend` says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{text}`: {problem}; {mend}")]
pub struct UnitError {
    /// What was to be read, such as "duration".
    pub what: &'static str,
    /// The text as it stands.
    pub text: String,
    /// The byte of `text` at which reading stopped.
    pub offset: usize,
    /// What is wrong there.
    pub problem: String,
    /// What to write instead.
    pub mend: &'static str,
}
