use super::Delivery;

/// A message that no attempt could deliver, and why.
#[derive(Debug)]
#[non_exhaustive]
pub struct DeadLetter<T> {
    /// The last delivery; its attempt says how many there were.
    pub delivery: Delivery<T>,
    /// What the last attempt failed with.
    pub reason: String,
}
