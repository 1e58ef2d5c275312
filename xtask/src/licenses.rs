//! The check that every dependency has a licence that `deny.toml` allows, for machines without `cargo deny`.

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::command;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
}

pub(crate) fn run() -> anyhow::Result<()> {
    let allowed = allowed(&std::fs::read_to_string(command::root().join("deny.toml"))?)?;
    let output = command::output(command::cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--all-features",
    ]))?;
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    let wrong: Vec<String> = metadata
        .packages
        .iter()
        .filter(|package| !package.license.as_deref().is_some_and(|license| permits(license, &allowed)))
        .map(|p| format!("{} {}: {}", p.name, p.version, p.license.as_deref().unwrap_or("no licence")))
        .collect();
    if !wrong.is_empty() {
        bail!("licenses: {} not allowed by deny.toml\n  {}", wrong.len(), wrong.join("\n  "));
    }
    eprintln!("licenses: {} packages, all allowed", metadata.packages.len());
    Ok(())
}

/// Reads the list `allow = [...]` of the section `[licenses]`.
fn allowed(deny: &str) -> anyhow::Result<Vec<String>> {
    let section = deny.split("[licenses]").nth(1).context("deny.toml has no section [licenses]")?;
    let list = section.split("allow = [").nth(1).and_then(|rest| rest.split(']').next());
    let list = list.context("deny.toml has no list licenses.allow")?;
    Ok(list.split('"').skip(1).step_by(2).map(str::to_owned).collect())
}

/// Evaluates an SPDX expression: one alternative of each `OR` whose `AND` parts are all allowed.
fn permits(expression: &str, allowed: &[String]) -> bool {
    let flat = expression.replace('/', " OR ").replace(['(', ')'], " ");
    // Expressions with brackets, such as `(MIT OR Apache-2.0) AND Unicode-3.0`, are read part by part of the
    // outer AND; none of ours nests deeper.
    if expression.contains('(') {
        return expression.split(" AND ").all(|part| {
            let part = part.replace(['(', ')'], " ");
            part.split(" OR ").any(|name| allowed.iter().any(|a| a == name.trim()))
        });
    }
    flat.split(" OR ").any(|side| side.split(" AND ").all(|name| allowed.iter().any(|a| a == name.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_read() {
        let allowed: Vec<String> = ["MIT", "Apache-2.0", "Unicode-3.0"].map(str::to_owned).to_vec();
        assert!(permits("MIT OR GPL-3.0", &allowed));
        assert!(permits("MIT/Apache-2.0", &allowed));
        assert!(permits("(MIT OR Apache-2.0) AND Unicode-3.0", &allowed));
        assert!(!permits("GPL-3.0", &allowed));
        assert!(!permits("MIT AND GPL-3.0", &allowed));
        assert!(!permits("(MIT OR Apache-2.0) AND GPL-3.0", &allowed));
    }
}
