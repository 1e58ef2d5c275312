use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, HeaderName as Name};
use sha2::Sha256;
use steadfast_core::transport::Error;

use super::{Encoding, Scheme, Signature};
use crate::http::SYSTEM;

const ID: Name = Name::from_static("webhook-id");
const TIMESTAMP: Name = Name::from_static("webhook-timestamp");
const SIGNATURE: Name = Name::from_static("webhook-signature");

/// How many signatures of one request are looked at: a sender that rotates has two.
const SIGNATURES_MAX: usize = 8;

type Digest = [u8; 32];

/// The secrets of a [`Signature`], ready for use.
pub(in crate::http) struct Keys {
    form: Form,
    /// At least one.
    keys: Vec<Hmac<Sha256>>,
}

enum Form {
    Standard { tolerance: Duration },
    Body { header: HeaderName, prefix: String, encoding: Encoding },
}

/// A request whose signature is right.
#[derive(Debug)]
pub(in crate::http) struct Verified {
    /// What tells this request from any other, and until when it must be remembered; none under a scheme that cannot.
    pub(in crate::http) once: Option<(Digest, SystemTime)>,
}

/// Why a signature is refused. Nothing of the signature or the secrets is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Refused {
    Missing,
    Malformed,
    OutsideTolerance,
    Wrong,
}

impl Keys {
    pub(in crate::http) fn new(signature: &Signature) -> Result<Self, Error> {
        let wrong = |field, problem: &str| Error::Configuration {
            system: SYSTEM,
            field,
            problem: problem.to_owned(),
        };
        let body = |header: &str, prefix: &str, encoding| {
            let header = header
                .parse()
                .map_err(|_| wrong("signature.scheme.body.header", "is not the name of a header"))?;
            Ok(Form::Body { header, prefix: prefix.to_owned(), encoding })
        };
        let form = match &signature.scheme {
            Scheme::Standard { tolerance } => Form::Standard { tolerance: tolerance.0 },
            Scheme::Github => body("x-hub-signature-256", "sha256=", Encoding::Hex)?,
            Scheme::Shopify => body("x-shopify-hmac-sha256", "", Encoding::Base64)?,
            Scheme::Body { header, prefix, encoding } => body(header, prefix, *encoding)?,
        };
        let secret = |secret: &str| match secret.strip_prefix("whsec_") {
            Some(base64) => STANDARD
                .decode(base64)
                .map_err(|_| wrong("signature.secrets", "is not Base64 behind `whsec_`")),
            None => Ok(secret.as_bytes().to_vec()),
        };
        let secrets: Vec<Vec<u8>> =
            signature.secrets.iter().map(|one| secret(one.reveal())).collect::<Result<_, _>>()?;
        if secrets.is_empty() || secrets.iter().any(Vec::is_empty) {
            return Err(wrong("signature.secrets", "is empty: give at least one secret"));
        }
        let key = |secret: &Vec<u8>| Hmac::new_from_slice(secret).expect("HMAC takes keys of any length");
        Ok(Self { form, keys: secrets.iter().map(key).collect() })
    }

    /// Checks the signature of a request.
    pub(in crate::http) fn verify(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: SystemTime,
    ) -> Result<Verified, Refused> {
        let text = |name: &HeaderName| {
            headers.get(name).ok_or(Refused::Missing)?.to_str().map_err(|_| Refused::Malformed)
        };
        match &self.form {
            Form::Standard { tolerance } => {
                let (id, timestamp, signatures) = (text(&ID)?, text(&TIMESTAMP)?, text(&SIGNATURE)?);
                let seconds = timestamp.parse().map_err(|_| Refused::Malformed)?;
                let signed =
                    UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).ok_or(Refused::Malformed)?;
                let apart = now.duration_since(signed).unwrap_or_else(|before| before.duration());
                if apart > *tolerance {
                    return Err(Refused::OutsideTolerance);
                }
                let parts = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
                let given: Vec<Vec<u8>> = signatures
                    .split(' ')
                    .filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok())
                    .take(SIGNATURES_MAX)
                    .collect();
                self.check(&parts, &given)?;
                // Not the signature that was given: under two secrets one request has two of them.
                let digest = mac(&self.keys[0], &parts).finalize().into_bytes().into();
                Ok(Verified { once: Some((digest, signed + *tolerance)) })
            }
            Form::Body { header, prefix, encoding } => {
                let given = text(header)?.strip_prefix(prefix.as_str()).ok_or(Refused::Malformed)?;
                let given = decode(*encoding, given).ok_or(Refused::Malformed)?;
                self.check(&[body], &[given])?;
                Ok(Verified { once: None })
            }
        }
    }

    fn check(&self, parts: &[&[u8]], given: &[Vec<u8>]) -> Result<(), Refused> {
        let right = self.keys.iter().any(|key| {
            let expected = mac(key, parts);
            // Compares in constant time.
            given.iter().any(|given| expected.clone().verify_slice(given).is_ok())
        });
        if right { Ok(()) } else { Err(Refused::Wrong) }
    }

    /// Signs a request that is to be sent; `id` identifies it.
    pub(in crate::http) fn sign(&self, headers: &mut HeaderMap, id: &str, body: &[u8], now: SystemTime) {
        let value = |text: String| {
            let mut value =
                HeaderValue::from_str(&text).expect("identities, digits and Base64 are visible ASCII");
            value.set_sensitive(true);
            value
        };
        match &self.form {
            Form::Standard { .. } => {
                let timestamp = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
                let parts = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
                let signatures: Vec<String> = self
                    .keys
                    .iter()
                    .map(|key| format!("v1,{}", encode(Encoding::Base64, key, &parts)))
                    .collect();
                headers.insert(ID, value(id.to_owned()));
                headers.insert(TIMESTAMP, value(timestamp));
                headers.insert(SIGNATURE, value(signatures.join(" ")));
            }
            Form::Body { header, prefix, encoding } => {
                let signature = format!("{prefix}{}", encode(*encoding, &self.keys[0], &[body]));
                headers.insert(header.clone(), value(signature));
            }
        }
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(***)")
    }
}

fn mac(key: &Hmac<Sha256>, parts: &[&[u8]]) -> Hmac<Sha256> {
    parts.iter().fold(key.clone(), |mac, part| mac.chain_update(part))
}

fn encode(encoding: Encoding, key: &Hmac<Sha256>, parts: &[&[u8]]) -> String {
    let digest = mac(key, parts).finalize().into_bytes();
    match encoding {
        Encoding::Base64 => STANDARD.encode(digest),
        Encoding::Hex => digest.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn decode(encoding: Encoding, text: &str) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Base64 => STANDARD.decode(text).ok(),
        Encoding::Hex => {
            let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
            let pairs = text.as_bytes().chunks_exact(2);
            let whole = pairs.remainder().is_empty();
            let bytes: Option<_> = pairs.map(|pair| Some(digit(&pair[0])? << 4 | digit(&pair[1])?)).collect();
            bytes.filter(|_| whole)
        }
    }
}
