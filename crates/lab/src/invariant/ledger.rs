/// An entry of the system's log, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Its place in the order of the log, or of its key's history.
    pub position: u64,
    /// The key of the data it is about.
    pub key: String,
    /// The command that caused it, where the log says so.
    pub command: Option<String>,
    /// Its kind, where the log says so.
    pub kind: Option<String>,
    /// Its number among the entries of its key, from 0, where the log says so.
    pub revision: Option<u64>,
}
