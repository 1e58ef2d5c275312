//! The check that dependencies point down only.

use std::collections::BTreeMap;

use anyhow::bail;
use serde::Deserialize;

use crate::command;

/// The level of every crate; a crate may depend on lower levels only.
const LEVELS: &[(&str, u8)] = &[
    ("steadfast-base", 0),
    ("steadfast-servers", 1),
    ("steadfast-core", 1),
    ("steadfast-schema", 1),
    ("steadfast-guard", 1),
    ("steadfast-fault", 1),
    ("steadfast-slo", 1),
    ("steadfast-load", 1),
    ("steadfast-backends", 2),
    ("steadfast-proxy", 2),
    ("steadfast-kernel", 2),
    ("steadfast-lab", 3),
    ("steadfast", 3),
    ("steadfast-cli", 4),
    ("orders", 4),
    ("steadfast-bench", 5),
    ("xtask", 5),
];

/// Arrows that point down and are forbidden all the same, each with its reason.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("steadfast", "steadfast-lab", "the building half never depends on the proving half"),
    ("orders", "steadfast-lab", "the building half never depends on the proving half"),
    ("orders", "steadfast-load", "the building half never depends on the proving half"),
    ("orders", "steadfast-slo", "the building half never depends on the proving half"),
    ("steadfast", "steadfast-load", "the building half never depends on the proving half"),
    ("steadfast", "steadfast-slo", "the building half never depends on the proving half"),
];

/// Drivers of outside systems, and who may name them.
const DRIVERS: &[&str] = &[
    "rusqlite",
    "tokio-postgres",
    "deadpool-postgres",
    "redis",
    "async-nats",
    "krafka",
    "rdkafka",
    "postgres-protocol",
];
const DRIVER_OWNERS: &[&str] = &["steadfast-backends", "steadfast-bench"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    path: Option<String>,
}

pub(crate) fn run() -> anyhow::Result<()> {
    let output =
        command::output(command::cargo(&["metadata", "--no-deps", "--format-version", "1", "--locked"]))?;
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    let wrong = violations(&metadata);
    if !wrong.is_empty() {
        bail!("layers: {} wrong arrow(s)\n  {}", wrong.len(), wrong.join("\n  "));
    }
    eprintln!("layers: {} crates, every arrow points down", metadata.packages.len());
    Ok(())
}

fn violations(metadata: &Metadata) -> Vec<String> {
    let levels: BTreeMap<&str, u8> = LEVELS.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let from = package.name.as_str();
        let Some(level) = levels.get(from) else {
            wrong.push(format!("{from} has no level; give it one in xtask/src/layers.rs"));
            continue;
        };
        for dependency in &package.dependencies {
            let to = dependency.name.as_str();
            if DRIVERS.contains(&to) && !DRIVER_OWNERS.contains(&from) {
                wrong.push(format!("{from} names the driver {to}; only steadfast-backends may"));
            }
            // A crate may name itself to switch on its own features for its tests.
            if dependency.path.is_none() || to == from {
                continue;
            }
            match levels.get(to) {
                Some(below) if below < level => {}
                Some(other) => wrong.push(format!("{from} (level {level}) -> {to} (level {other})")),
                None => wrong.push(format!("{from} -> {to}, which has no level")),
            }
            if let Some((_, _, why)) = FORBIDDEN.iter().find(|(f, t, _)| (*f, *t) == (from, to)) {
                wrong.push(format!("{from} -> {to}: {why}"));
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependency: &str) -> Metadata {
        let dependency = Dependency { name: dependency.to_owned(), path: Some(String::new()) };
        Metadata { packages: vec![Package { name: name.to_owned(), dependencies: vec![dependency] }] }
    }

    #[test]
    fn an_arrow_up_or_sideways_is_found() {
        assert_eq!(violations(&package("steadfast-core", "steadfast-base")).len(), 0);
        assert_eq!(violations(&package("steadfast-core", "steadfast-guard")).len(), 1);
        assert_eq!(violations(&package("steadfast-base", "steadfast-core")).len(), 1);
        assert_eq!(violations(&package("orders", "steadfast-lab")).len(), 1);
        assert_eq!(violations(&package("steadfast-lab", "redis")).len(), 2);
        assert_eq!(violations(&package("stray", "steadfast-base")).len(), 1);
    }
}
