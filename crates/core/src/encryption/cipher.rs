use bytes::Bytes;

use super::Key;

/// Encrypts and authenticates: what is opened is what was sealed, with the same key and bound to the same.
pub trait Cipher: Send + Sync + 'static {
    /// Returns the name that stands with events; it may never change its meaning.
    fn algorithm(&self) -> &'static str;

    /// Makes the secret of a new key.
    ///
    /// # Errors
    /// [`CipherError`] when the operating system gives no randomness.
    fn secret(&self) -> Result<[u8; Key::BYTES], CipherError>;

    /// Encrypts `data`, bound to what stands beside it in the clear. Whatever must not repeat for a key, such as a nonce,
    /// is the cipher's to choose and part of what it returns.
    ///
    /// # Errors
    /// [`CipherError`] when the data are too long, or the operating system gives no randomness.
    fn seal(&self, key: &Key, bound: &[u8], data: &[u8]) -> Result<Bytes, CipherError>;

    /// Decrypts what [`seal`](Self::seal) returned.
    ///
    /// # Errors
    /// [`CipherError`] when it was sealed with another key, bound to something else, or changed since.
    fn open(&self, key: &Key, bound: &[u8], sealed: &[u8]) -> Result<Bytes, CipherError>;
}

/// Why something was not encrypted or decrypted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct CipherError {
    /// What is wrong; never anything secret.
    pub reason: &'static str,
}
