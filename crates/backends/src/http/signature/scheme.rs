use std::time::Duration;

use serde::Deserialize;
use steadfast_base::units::HumanDuration;

use crate::Secret;

/// By which scheme and which secrets requests are signed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Signature {
    /// The scheme.
    pub scheme: Scheme,
    /// The secrets, of which any is accepted; at least one. One that begins with `whsec_` is Base64 behind that, as
    /// Standard Webhooks has it; any other is taken as it is. A sink signs with all of them under
    /// [`Scheme::Standard`], else with the first.
    pub secrets: Vec<Secret>,
}

impl Signature {
    /// Signs as Standard Webhooks has it, with the usual tolerance of five minutes.
    pub fn standard(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let tolerance = HumanDuration(Duration::from_secs(300));
        Self { scheme: Scheme::Standard { tolerance }, secrets: secrets.into_iter().collect() }
    }

    /// Signs as GitHub does.
    pub fn github(secrets: impl IntoIterator<Item = Secret>) -> Self {
        Self { scheme: Scheme::Github, secrets: secrets.into_iter().collect() }
    }
}

/// What is signed, and where the signature stands.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Scheme {
    /// Standard Webhooks (<https://www.standardwebhooks.com>): `webhook-id`, `webhook-timestamp` and body, signed in
    /// `webhook-signature` as `v1,BASE64`. A request that was taken and comes again, byte for byte and within the
    /// tolerance, is answered 202 and not handed on again.
    ///
    /// The headers of a CloudEvent in binary mode are not signed: let senders use structured mode, or [`Plain`]
    /// with `webhook-id`.
    ///
    /// [`Plain`]: super::super::Plain
    Standard {
        /// How far the timestamp may be from our clock, to either side.
        tolerance: HumanDuration,
    },
    /// The body alone, in `X-Hub-Signature-256` as `sha256=HEX`. Nothing tells a request from one that comes again:
    /// only the event's identity does, which is not signed in binary mode.
    Github,
    /// The body alone, in `X-Shopify-Hmac-Sha256` as Base64; see [`Scheme::Github`] for its limits.
    Shopify,
    /// The body alone, in a header of choice; see [`Scheme::Github`] for its limits.
    Body {
        /// The header's name.
        header: String,
        /// What stands before the signature.
        #[serde(default)]
        prefix: String,
        /// How the signature is written.
        encoding: Encoding,
    },
}

/// How bytes are written in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Encoding {
    /// Hexadecimal digits.
    Hex,
    /// Base64 with padding.
    Base64,
}
