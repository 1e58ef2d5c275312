/// Nothing will change any more: all handles of the cell or map are gone, and the last change has been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nothing will change any more: whoever could change it is gone")]
pub struct Closed;
