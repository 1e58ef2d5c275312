use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast_base::units::HumanDuration;

use super::load_from;
use crate::runtime::RuntimeConfig;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Config {
    listen: String,
    version: String,
    max_orders: u32,
    title: Option<String>,
    limits: Vec<u32>,
    labels: BTreeMap<String, String>,
    limit: Option<Limit>,
    runtime: RuntimeConfig,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Limit {
    rate: u32,
    burst: u32,
    burst_max: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:0".to_owned(),
            version: "1".to_owned(),
            max_orders: 10,
            title: None,
            limit: None,
            limits: vec![1],
            labels: BTreeMap::new(),
            runtime: RuntimeConfig::default(),
        }
    }
}

fn with(file: Option<&str>, environment: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("orders.json");
    if let Some(text) = file {
        std::fs::write(&path, text).expect("a file");
    }
    let result = load_from(file.map(|_| path.as_path()), "ORDERS", environment.iter().copied());
    result.map_err(|error| error.to_string().replace(path.to_str().expect("UTF-8"), "orders.json"))
}

#[test]
fn nothing_given_is_the_default() {
    assert_eq!(with(None, &[]), Ok(Config::default()));
    assert_eq!(with(Some("{}"), &[("ORDERSX__LISTEN", "x"), ("LISTEN", "x")]), Ok(Config::default()));
}

#[test]
fn the_file_goes_before_the_default_and_the_environment_before_the_file() {
    let file = r#"{"listen": "file", "maxOrders": 20, "limits": [], "runtime": {"drain": "1s"}}"#;
    let environment = [("ORDERS__LISTEN", "environment"), ("ORDERS__RUNTIME__NAME", "shop")];
    let mut expected =
        Config { listen: "environment".to_owned(), max_orders: 20, limits: Vec::new(), ..Config::default() };
    expected.runtime.drain = HumanDuration(Duration::from_secs(1));
    expected.runtime.name = "shop".to_owned();
    assert_eq!(with(Some(file), &environment), Ok(expected));
}

#[test]
fn a_variable_takes_the_type_of_its_field() {
    let environment = [
        ("ORDERS__MAX_ORDERS", "5"),
        ("ORDERS__VERSION", "2"),
        ("ORDERS__LISTEN", "\"quoted\""),
        ("ORDERS__TITLE", "2026"),
        ("ORDERS__LIMITS", "[1, 2]"),
        ("ORDERS__LABELS__zone", "eu"),
        ("ORDERS__RUNTIME__WORKERS", "3"),
        ("ORDERS__LIMIT__BURST_MAX", "7"),
    ];
    let config = with(None, &environment).expect("it is valid");
    assert_eq!((config.max_orders, config.version.as_str(), config.title.as_deref()), (5, "2", Some("2026")));
    assert_eq!(config.listen, "\"quoted\"", "what is text is taken as it stands");
    assert_eq!((config.limits, config.labels["zone"].as_str()), (vec![1, 2], "eu"));
    assert_eq!(config.runtime.workers.map(|workers| workers.get()), Some(3));
    assert_eq!(config.limit, Some(Limit { rate: 0, burst: 0, burst_max: 7 }), "absent until now");
}

#[test]
fn errors_name_the_place() {
    let fields = "the document has labels, limit, limits, listen, maxOrders, runtime, title, version";
    for (file, environment, expected) in [
        ("{", vec![], "orders.json:1:1: EOF while parsing an object".to_owned()),
        ("[]", vec![], "orders.json:1:0: invalid type: sequence, expected a map".to_owned()),
        ("{\n \"listen\": }", vec![], "orders.json:2:12: expected value".to_owned()),
        (r#"{"listn": 1}"#, vec![], format!("`listn` in orders.json: no such field, {fields}; did you mean `listen`?")),
        (
            r#"{"runtime": {"drain": "5"}}"#,
            vec![],
            "`runtime.drain` in orders.json: duration `5`: has no unit".to_owned(),
        ),
        (
            r#"{"runtime": {"workrs": 5}}"#,
            vec![],
            "`runtime.workrs` in orders.json: no such field, `runtime` has drain, name, workers; did you mean `workers`?"
                .to_owned(),
        ),
        (
            r#"{"limit": {"burts": 5}}"#,
            vec![],
            "`limit.burts` in orders.json: no such field, `limit` has burst, burstMax, rate; did you mean `burst`?".to_owned(),
        ),
        (
            "{}",
            vec![("ORDERS__LISTN", "x")],
            format!("ORDERS__LISTN in the environment: no such field, {fields}"),
        ),
        (
            "{}",
            vec![("ORDERS__MAX_ORDERS", "many")],
            "ORDERS__MAX_ORDERS in the environment: invalid type: string \"many\", expected u32".to_owned(),
        ),
    ] {
        let told = with(Some(file), &environment).expect_err("it is invalid");
        assert!(told.starts_with(&expected), "{told}\nis not\n{expected}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = load_from::<Config>(Some(Path::new("/nowhere/orders.json")), "X", [("", ""); 0]);
    assert_eq!(
        error.expect_err("it is not there").to_string(),
        "cannot read the configuration /nowhere/orders.json"
    );
}

#[test]
fn fields_that_are_valid_only_together_are_taken_together() {
    #[derive(Debug, Serialize, Deserialize)]
    #[serde(try_from = "Between")]
    struct Range {
        from: u32,
        until: u32,
    }
    #[derive(Deserialize)]
    struct Between {
        from: u32,
        until: u32,
    }
    impl TryFrom<Between> for Range {
        type Error = &'static str;
        fn try_from(Between { from, until }: Between) -> Result<Self, Self::Error> {
            if from <= until { Ok(Self { from, until }) } else { Err("from is above until") }
        }
    }
    impl Default for Range {
        fn default() -> Self {
            Self { from: 0, until: 5 }
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("range.json");
    std::fs::write(&path, r#"{"from": 10, "until": 20}"#).expect("a file");
    // `until` has to be set first.
    let range: Range = load_from(Some(&path), "X", [("", ""); 0]).expect("it is valid");
    assert_eq!((range.from, range.until), (10, 20));
    std::fs::write(&path, r#"{"from": 30, "until": 20}"#).expect("a file");
    let error = load_from::<Range>(Some(&path), "X", [("", ""); 0]).expect_err("it is invalid");
    assert!(error.to_string().contains("`from` in") && error.to_string().ends_with("from is above until"));
}
