use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use proptest::prelude::*;
use steadfast_core::store::Durability;

use super::keys::{Keys, Refused};
use super::replays::{Replays, Seen, Taken};
use super::{Encoding, Scheme, Signature};
use crate::Secret;

fn keys(signature: &Signature) -> Keys {
    Keys::new(signature).expect("valid")
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| ((*name).parse().expect("a name"), value.parse().expect("a value")))
        .collect()
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// From the libraries of Standard Webhooks and Svix, whose tests share it.
const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY: &[u8] = br#"{"test": 2432232314}"#;

#[test]
fn the_vector_of_standard_webhooks_is_right() {
    let keys = keys(&Signature::standard([Secret::new(WHSEC)]));
    let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let given = [
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", signature),
    ];
    assert!(keys.verify(&headers(&given), BODY, at(1_614_265_330)).is_ok());
    let mut sent = HeaderMap::new();
    keys.sign(&mut sent, "msg_p5jXN8AQM9LWM0D4loKWxJek", BODY, at(1_614_265_330));
    assert_eq!(sent["webhook-signature"], signature);
    assert!(!format!("{sent:?} {keys:?}").contains("g0hM"));
    for (now, expected) in [(300, None), (301, Some(Refused::OutsideTolerance))] {
        for now in [1_614_265_330 + now, 1_614_265_330 - now] {
            assert_eq!(keys.verify(&headers(&given), BODY, at(now)).err(), expected);
        }
    }
    assert_eq!(keys.verify(&headers(&given), b"{}", at(1_614_265_330)).err(), Some(Refused::Wrong));
    assert_eq!(keys.verify(&headers(&given[1..]), BODY, at(1_614_265_330)).err(), Some(Refused::Missing));
    for bad in ["", "v1,", "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "g0hM"] {
        let given = headers(&[given[0], given[1], ("webhook-signature", bad)]);
        assert_eq!(keys.verify(&given, BODY, at(1_614_265_330)).err(), Some(Refused::Wrong), "{bad}");
    }
    for bad in ["", "-1", "soon", "99999999999999999999", "18446744073709551615"] {
        let given = headers(&[given[0], ("webhook-timestamp", bad), given[2]]);
        assert_eq!(keys.verify(&given, BODY, at(1_614_265_330)).err(), Some(Refused::Malformed), "{bad}");
    }
}

#[test]
fn the_vector_of_github_is_right() {
    // From "Validating webhook deliveries" of GitHub's documentation.
    let keys = keys(&Signature::github([Secret::new("It's a Secret to Everybody")]));
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let given = headers(&[("x-hub-signature-256", signature)]);
    assert!(keys.verify(&given, b"Hello, World!", at(0)).is_ok());
    assert_eq!(keys.verify(&given, b"Hello, World?", at(0)).err(), Some(Refused::Wrong));
    assert_eq!(keys.verify(&HeaderMap::new(), b"", at(0)).err(), Some(Refused::Missing));
    for bad in ["757107ea", "sha256=75710", "sha256=zz", "sha1=757107ea"] {
        let given = headers(&[("x-hub-signature-256", bad)]);
        assert_eq!(keys.verify(&given, b"", at(0)).err(), Some(Refused::Malformed), "{bad}");
    }
    let short = headers(&[("x-hub-signature-256", "sha256=75")]);
    assert_eq!(keys.verify(&short, b"Hello, World!", at(0)).err(), Some(Refused::Wrong));
}

#[test]
fn secrets_can_be_rotated() {
    let both = [Secret::new("old secret"), Secret::new("new secret")];
    let old = Signature::standard([both[0].clone()]);
    let new = Signature::standard([both[1].clone()]);
    let both = keys(&Signature::standard(both));
    for sender in [&old, &new] {
        let (mut given, mut again) = (HeaderMap::new(), HeaderMap::new());
        keys(sender).sign(&mut given, "1", BODY, at(1000));
        let first = both.verify(&given, BODY, at(1000)).expect("right").once.expect("told apart");
        both.sign(&mut again, "1", BODY, at(1000));
        assert_eq!(both.verify(&again, BODY, at(1000)).expect("right").once, Some(first), "one request");
        assert!(keys(sender).verify(&again, BODY, at(1000)).is_ok());
    }
    let mut given = HeaderMap::new();
    keys(&old).sign(&mut given, "1", BODY, at(1000));
    assert_eq!(keys(&new).verify(&given, BODY, at(1000)).err(), Some(Refused::Wrong));
}

#[test]
fn a_wrong_configuration_is_named() {
    for (signature, field) in [
        (Signature::standard([]), "secrets"),
        (Signature::standard([Secret::new("")]), "secrets"),
        (Signature::standard([Secret::new("whsec_?")]), "secrets"),
        (
            Signature {
                scheme: Scheme::Body { header: "a b".into(), prefix: String::new(), encoding: Encoding::Hex },
                secrets: vec![Secret::new("x")],
            },
            "header",
        ),
    ] {
        let error = Keys::new(&signature).expect_err(field).to_string();
        assert!(error.contains(field), "{error}");
    }
}

#[test]
fn a_request_is_taken_once_and_forgotten_after_its_time() {
    let replays = Replays::default();
    let taken = Taken { events: 1, durability: Durability::Accepted };
    let claim = |digest: u8, now| replays.claim([digest; 32], at(100), at(now));
    let Seen::Never(first) = claim(1, 0) else { panic!("never seen") };
    assert!(matches!(claim(1, 0), Seen::BeingTaken));
    drop(first);
    let Seen::Never(first) = claim(1, 0) else { panic!("was given back") };
    first.taken(taken);
    assert!(matches!(claim(1, 100), Seen::Taken(again) if again == taken));
    assert!(matches!(claim(2, 101), Seen::Never(_)));
    assert!(matches!(claim(1, 101), Seen::Never(_)));
}

proptest! {
    #[test]
    fn what_was_signed_is_right_and_a_changed_byte_is_not(
        secret in ".{1,80}", id in "[!-~]{1,20}", body: Vec<u8>, scheme in 0..4, at_byte: prop::sample::Index, bit in 0_u8..8,
    ) {
        let secrets = vec![Secret::new(secret)];
        let scheme = match scheme {
            0 => Signature::standard([]).scheme,
            1 => Scheme::Github,
            2 => Scheme::Shopify,
            _ => Scheme::Body { header: "x-sign".into(), prefix: "t=".into(), encoding: Encoding::Base64 },
        };
        // A text that only looks like Base64 of Standard Webhooks is refused before.
        let Ok(keys) = Keys::new(&Signature { scheme, secrets }) else { return Ok(()) };
        let mut given = HeaderMap::new();
        keys.sign(&mut given, &id, &body, at(5));
        prop_assert!(keys.verify(&given, &body, at(5)).is_ok());
        let mut changed = body.clone();
        changed.push(0);
        prop_assert_eq!(keys.verify(&given, &changed, at(5)).err(), Some(Refused::Wrong));
        if !body.is_empty() {
            let mut changed = body;
            let index = at_byte.index(changed.len());
            changed[index] ^= 1 << bit;
            prop_assert_eq!(keys.verify(&given, &changed, at(5)).err(), Some(Refused::Wrong));
        }
    }
}
