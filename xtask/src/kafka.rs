//! Obtaining Apache Kafka: its jars by Maven, which needs no account and no archive.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::{command, setup};

const VERSION: &str = "4.3.0";
/// What Kafka 4 runs on at least.
const JAVA_MIN: u32 = 17;

/// Makes sure that Kafka's jars are there and can be run, and returns their folder.
pub(crate) fn obtain() -> anyhow::Result<PathBuf> {
    check_java()?;
    let libs = setup::folder("kafka").join(VERSION);
    if !libs.is_dir() {
        fetch(&libs)?;
    }
    eprintln!("kafka is Apache Kafka {VERSION}");
    Ok(libs)
}

fn check_java() -> anyhow::Result<()> {
    let mut java = Command::new("java");
    java.arg("-version");
    let said = command::output(java).context("Kafka needs Java")?;
    let said = String::from_utf8_lossy(&[said.stderr, said.stdout].concat()).into_owned();
    match major(&said) {
        Some(version) if version >= JAVA_MIN => Ok(()),
        _ => bail!("Kafka needs Java {JAVA_MIN} or later; `java -version` says: {said}"),
    }
}

/// Reads the first number of the version, as in `openjdk version "17.0.15" 2025-04-15`.
fn major(said: &str) -> Option<u32> {
    said.split('"').nth(1)?.split(['.', '-']).next()?.parse().ok()
}

fn fetch(libs: &Path) -> anyhow::Result<()> {
    let folder = libs.parent().context("the folder lies in another one")?;
    std::fs::create_dir_all(folder)?;
    let pom = folder.join("pom.xml");
    std::fs::write(&pom, pom_xml())?;
    // Moved into place once all are there, so that an interrupted fetch is made again.
    let part = folder.join("part");
    eprintln!("installing Apache Kafka {VERSION}");
    let mut maven = Command::new("mvn");
    maven.args(["--batch-mode", "--quiet", "--file"]).arg(&pom).arg("dependency:copy-dependencies");
    maven.arg("-DincludeScope=runtime").arg(format!("-DoutputDirectory={}", part.display()));
    command::output(maven)?;
    std::fs::rename(&part, libs)?;
    Ok(())
}

/// Kafka, and the binding by which it logs to stderr.
fn pom_xml() -> String {
    let dependency = |group: &str, artifact: &str, version: &str| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
             <version>{version}</version></dependency>"
        )
    };
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>dev.steadfast</groupId><artifactId>kafka</artifactId><version>1</version>\
         <dependencies>{}{}</dependencies></project>\n",
        dependency("org.apache.kafka", "kafka_2.13", VERSION),
        dependency("org.slf4j", "slf4j-simple", "1.7.36"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_java_is_read() {
        assert_eq!(major("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK"), Some(17));
        assert_eq!(major("java version \"1.8.0_401\""), Some(1));
        assert_eq!(major("openjdk version \"25-ea\""), Some(25));
        assert_eq!(major("not found"), None);
    }
}
