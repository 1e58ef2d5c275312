use proptest::prelude::*;

use super::Url;

fn url(text: &str) -> Result<Url, String> {
    Url::parse(text, "test", &["test", "tests"]).map_err(|error| error.to_string())
}

#[test]
fn all_parts_are_read_and_decoded() {
    let mut url = url("tests://me%40home:p%3A%2f@[::1]:7/a%20b/c?x=1%262&y=").expect("a URL");
    assert_eq!((url.scheme, url.user.as_deref(), url.path.as_str()), ("tests", Some("me@home"), "a b/c"));
    assert_eq!(url.password.as_ref().map(crate::Secret::reveal), Some("p:/"));
    assert_eq!(url.host().expect("a host"), ("::1".to_owned(), Some(7)));
    assert_eq!(url.addresses(9).expect("hosts"), ["[::1]:7"]);
    assert_eq!((url.take("x"), url.take("x")), (Some("1&2".to_owned()), None));
    let unknown = url.done("`x`").expect_err("one is left").to_string();
    assert!(unknown.contains("unknown parameter `y`; there are `x`"), "{unknown}");
}

#[test]
fn what_is_left_out_is_none() {
    let url = url("test://host").expect("a URL");
    assert_eq!((&url.user, &url.password, url.path.as_str()), (&None, &None, ""));
    assert_eq!(url.host().expect("a host"), ("host".to_owned(), None));
    let several = Url::parse("test://a,b:2", "test", &["test"]).expect("a URL");
    assert_eq!(several.addresses(1).expect("hosts"), ["a:1", "b:2"]);
    assert!(several.host().is_err(), "it has one host or many, as the driver wants");
}

#[test]
fn what_is_wrong_is_told_without_the_secret() {
    for wrong in [
        "",
        "hunter2",
        "other://hunter2@host",
        "test://",
        "test://me:hunter2@",
        "test://me:hunter2@host/#",
        "test://me:hunter2%4@host",
        "test://me:hunter2%ff@host",
        "test://me:hunter2@host?x",
    ] {
        let error = url(wrong).expect_err(wrong);
        assert!(error.starts_with("configuration of test: url: ") && !error.contains("hunter2"), "{error}");
    }
    for wrong in ["test://me:hunter2@:1", "test://me:hunter2@host:x", "test://me:hunter2@[::1"] {
        let error = url(wrong).expect("its parts can be told").host().expect_err(wrong).to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
    assert!(!format!("{:?}", url("test://me:hunter2@host")).contains("hunter2"));
}

proptest! {
    #[test]
    fn no_text_panics(text in "(test://)?[ -~é]{0,40}") {
        if let Ok(url) = url(&text) {
            let _ = (url.host(), url.addresses(1));
        }
    }
}
