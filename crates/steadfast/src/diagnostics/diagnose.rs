//! What can be shown.

use serde_json::Value;

/// Something that can say how it is. Implement it to have a part of your own listed beside those of
/// [`Diagnostics`](super::Diagnostics).
///
/// # Examples
/// ```
/// use serde_json::{Value, json};
/// use steadfast::diagnostics::{Diagnose, Diagnostics, Token};
///
/// struct Cache {
///     entries: usize,
/// }
///
/// impl Diagnose for Cache {
///     fn kind(&self) -> &'static str {
///         "caches"
///     }
///     fn name(&self) -> &str {
///         "prices"
///     }
///     fn snapshot(&self) -> Value {
///         json!({"entries": self.entries})
///     }
/// }
///
/// let diagnostics = Diagnostics::new(Token::new("2f0b6a1c9d4e8f73")?);
/// diagnostics.register(Cache { entries: 7 });
/// # Ok::<(), steadfast::diagnostics::TokenError>(())
/// ```
pub trait Diagnose: Send + Sync + 'static {
    /// Returns what it is one of, in the plural and in kebab case: `/diagnostics/KIND` lists all of a kind.
    fn kind(&self) -> &'static str;

    /// Returns which one it is.
    fn name(&self) -> &str;

    /// Returns how it is now. It must not block, and is to be bounded: of what can be many, the count and the first.
    fn snapshot(&self) -> Value;
}
