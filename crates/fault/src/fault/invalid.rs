/// Why a fault cannot be injected; correct the fault, a repetition does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}.{field}: {problem}")]
pub struct InvalidFault {
    /// The kind of the fault, such as `http`.
    pub kind: &'static str,
    /// The field that is wrong.
    pub field: &'static str,
    /// What is wrong, and what to write instead.
    pub problem: &'static str,
}
