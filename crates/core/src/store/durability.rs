use std::fmt;

/// How safe an appended event is. Each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// The store took it into its memory; it is lost if the process dies.
    Accepted,
    /// The operating system has it; it survives the death of the process.
    Written,
    /// Stable storage has it; it survives the loss of power.
    Durable,
    /// Stable storage of more than one machine has it.
    Replicated,
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accepted => "accepted",
            Self::Written => "written",
            Self::Durable => "durable",
            Self::Replicated => "replicated",
        })
    }
}
