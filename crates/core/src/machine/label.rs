use std::fmt::{Debug, Display};
use std::hash::Hash;

/// One of finitely many names, for metrics and logs.
///
/// [`machine!`](crate::machine!) implements it for states and commands. A label is never renamed by reordering or by
/// adding variants, only by renaming its variant.
pub trait Label: Copy + Eq + Hash + Debug + Display + Send + Sync + 'static {
    /// All of them, in the order in which they are declared.
    const ALL: &'static [Self];

    /// Returns the name in `snake_case`.
    fn as_str(self) -> &'static str;
}
