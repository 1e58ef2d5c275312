//! Who may ask.

use std::fmt;
use std::path::Path;

use subtle::ConstantTimeEq;

/// The secret that a request for diagnostics shows, as `Authorization: Bearer TOKEN`.
///
/// # Examples
/// ```
/// use steadfast::diagnostics::Token;
///
/// let token = Token::new("2f0b6a1c9d4e8f73")?;
/// assert!(token.is("2f0b6a1c9d4e8f73"));
/// assert!(!token.is("2f0b6a1c9d4e8f74"));
/// assert!(Token::new("short").is_err());
/// # Ok::<(), steadfast::diagnostics::TokenError>(())
/// ```
#[derive(Clone)]
pub struct Token(Box<str>);

impl Token {
    /// The shortest token, in bytes: one of random hexadecimal digits has 64 bits then.
    pub const LENGTH_MIN: usize = 16;

    /// Takes a token of at least [`LENGTH_MIN`](Self::LENGTH_MIN) visible ASCII characters; white space around it is cut
    /// off.
    ///
    /// # Errors
    /// [`TokenError::Weak`] for any other.
    pub fn new(token: &str) -> Result<Self, TokenError> {
        let token = token.trim();
        if token.len() < Self::LENGTH_MIN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Weak);
        }
        Ok(Self(token.into()))
    }

    /// Reads a token from a file, such as a mounted secret.
    ///
    /// # Errors
    /// [`TokenError`] when the file cannot be read, or holds no token.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, TokenError> {
        Self::new(&std::fs::read_to_string(path)?)
    }

    /// Says whether `shown` is the token. How long that takes depends on the length of `shown` alone, so that nothing
    /// can be learned by trying.
    pub fn is(&self, shown: &str) -> bool {
        self.0.as_bytes().ct_eq(shown.as_bytes()).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// There is no token to use; mend the configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It is short or no plain text. Make one by `openssl rand -hex 32`.
    #[error("the token for diagnostics needs {} visible ASCII characters or more", Token::LENGTH_MIN)]
    Weak,
    /// The file cannot be read.
    #[error("the token for diagnostics cannot be read")]
    File(#[from] std::io::Error),
}
