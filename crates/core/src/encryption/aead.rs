use bytes::Bytes;
use ring::aead::{AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use super::{Cipher, CipherError, Key};

/// The first byte of what is sealed: the form of the rest.
const FORM: u8 = 1;
/// Where the ciphertext begins.
const HEAD: usize = 1 + NONCE_LEN;

/// The usual authenticated ciphers, as `ring` has them; feature `encryption`.
///
/// What is sealed is one byte for the form, a nonce of 96 bits, the ciphertext, and a tag of 128 bits: 29 bytes more than
/// the data.
///
/// **Nonces are random**, drawn from the operating system for each event. A nonce that is derived from the event would be
/// shorter, but an event that is made again under the same id with other data would reveal both. Random ones are safe for
/// as long as a key seals no more than 2³² events, when the chance that any two of its nonces are the same is still below
/// 2⁻³² (NIST SP 800-38D, 8.3). A key belongs to one stream, which has far fewer; [`Keys::rotate`](super::Keys::rotate)
/// begins anew.
///
/// # Examples
/// ```
/// use steadfast_core::encryption::{Aead, Cipher, Key, KeyId};
///
/// let cipher = Aead::Aes256Gcm;
/// let key = Key::new(KeyId::new("k"), cipher.secret()?);
/// let sealed = cipher.seal(&key, b"event 1", b"Ada")?;
/// assert_eq!(cipher.open(&key, b"event 1", &sealed)?, "Ada");
/// assert!(cipher.open(&key, b"event 2", &sealed).is_err());
/// # Ok::<(), steadfast_core::encryption::CipherError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Aead {
    /// AES-256-GCM: fast where the processor has instructions for it.
    Aes256Gcm,
    /// ChaCha20-Poly1305: fast everywhere.
    ChaCha20Poly1305,
}

impl Aead {
    fn key(self, key: &Key) -> LessSafeKey {
        let algorithm: &'static Algorithm = match self {
            Self::Aes256Gcm => &AES_256_GCM,
            Self::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        };
        LessSafeKey::new(UnboundKey::new(algorithm, key.secret()).expect("both take 256 bits"))
    }
}

impl Cipher for Aead {
    fn algorithm(&self) -> &'static str {
        match self {
            Self::Aes256Gcm => "A256GCM",
            Self::ChaCha20Poly1305 => "C20P",
        }
    }

    fn secret(&self) -> Result<[u8; Key::BYTES], CipherError> {
        random()
    }

    fn seal(&self, key: &Key, bound: &[u8], data: &[u8]) -> Result<Bytes, CipherError> {
        let nonce: [u8; NONCE_LEN] = random()?;
        let mut sealed = Vec::with_capacity(HEAD + data.len() + AES_256_GCM.tag_len());
        sealed.push(FORM);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(data);
        let tag = self
            .key(key)
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(bound),
                &mut sealed[HEAD..],
            )
            .map_err(|_| CipherError { reason: "the data are too long to be encrypted" })?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed.into())
    }

    fn open(&self, key: &Key, bound: &[u8], sealed: &[u8]) -> Result<Bytes, CipherError> {
        let (head, text) = sealed.split_at_checked(HEAD).ok_or(CipherError { reason: "it is too short" })?;
        if head[0] != FORM {
            return Err(CipherError { reason: "it is of a form that is not known" });
        }
        let nonce = Nonce::try_assume_unique_for_key(&head[1..]).expect("it is as long as a nonce");
        let mut text = text.to_vec();
        let opened = self.key(key).open_in_place(nonce, Aad::from(bound), &mut text).map_err(|_| {
            CipherError { reason: "it is not what was encrypted with this key for this event" }
        })?;
        let length = opened.len();
        text.truncate(length);
        Ok(text.into())
    }
}

fn random<const N: usize>() -> Result<[u8; N], CipherError> {
    let mut bytes = [0; N];
    let told = |_| CipherError { reason: "the operating system gives no randomness" };
    SystemRandom::new().fill(&mut bytes).map_err(told)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::encryption::KeyId;

    fn key(cipher: Aead, id: &str) -> Key {
        Key::new(KeyId::new(id), cipher.secret().expect("randomness"))
    }

    proptest! {
        #[test]
        fn what_is_opened_is_what_was_sealed_and_nothing_else_opens(
            data in any::<Vec<u8>>(),
            bound in any::<Vec<u8>>(),
            place in any::<prop::sample::Index>(),
            bit in 0..8_u32,
        ) {
            for (cipher, other) in [
                (Aead::Aes256Gcm, Aead::ChaCha20Poly1305),
                (Aead::ChaCha20Poly1305, Aead::Aes256Gcm),
            ] {
                let right = key(cipher, "right");
                let sealed = cipher.seal(&right, &bound, &data).expect("sealed");
                prop_assert_eq!(sealed.len(), data.len() + 29);
                prop_assert_eq!(cipher.open(&right, &bound, &sealed), Ok(Bytes::from(data.clone())));
                prop_assert!(cipher.open(&key(cipher, "wrong"), &bound, &sealed).is_err());
                prop_assert!(other.open(&right, &bound, &sealed).is_err());
                let more = [&bound[..], b"x"].concat();
                prop_assert!(cipher.open(&right, &more, &sealed).is_err());
                let mut changed = sealed.to_vec();
                changed[place.index(sealed.len())] ^= 1 << bit;
                prop_assert!(cipher.open(&right, &bound, &changed).is_err());
                prop_assert!(cipher.open(&right, &bound, &sealed[..place.index(sealed.len())]).is_err());
            }
        }
    }

    #[test]
    fn no_two_are_sealed_alike() {
        let cipher = Aead::Aes256Gcm;
        let key = key(cipher, "k");
        let sealed = || cipher.seal(&key, b"", b"the same").expect("sealed");
        let all: std::collections::HashSet<_> = (0..1_000).map(|_| sealed()).collect();
        assert_eq!(all.len(), 1_000);
    }
}
