//! The real servers that tests of drivers and benchmarks stand on: obtained before, or left out by name.

use std::path::PathBuf;

use crate::{kafka, setup};

/// A server that tests want.
struct Wanted {
    name: &'static str,
    obtain: fn() -> anyhow::Result<PathBuf>,
    /// The environment variable by which tests find the program.
    variable: &'static str,
    /// Whether it comes from a registry that CI's machine always has.
    required: bool,
}

/// Each server's tests stand in a module called `with_` and its name.
const WANTED: [Wanted; 6] = [
    Wanted {
        name: "redis",
        obtain: || setup::obtain(&setup::REDIS),
        variable: "STEADFAST_REDIS_SERVER",
        required: true,
    },
    Wanted {
        name: "redis8",
        obtain: || setup::obtain(&setup::REDIS8),
        variable: "STEADFAST_REDIS8_SERVER",
        required: true,
    },
    Wanted {
        name: "postgres",
        obtain: || setup::obtain(&setup::POSTGRES),
        variable: "STEADFAST_POSTGRES",
        required: true,
    },
    Wanted {
        name: "nats",
        obtain: || setup::obtain(&setup::NATS),
        variable: "STEADFAST_NATS_SERVER",
        required: true,
    },
    // No server, but wanted in the same way: what makes a file system that loses power. Where it is, its tests run; a
    // machine of CI without it is told so, and not failed, for nothing that can be installed would help.
    Wanted { name: "fuse", obtain: setup::fuse, variable: "STEADFAST_FUSE", required: false },
    Wanted { name: "kafka", obtain: kafka::obtain, variable: "STEADFAST_KAFKA_LIBS", required: false },
];

/// What is there and what is not.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    /// The environment by which tests find the programs.
    pub(crate) environment: Vec<(&'static str, PathBuf)>,
    /// Those that are missing though they must not, and why.
    pub(crate) failed: Vec<String>,
    /// The test filters of those that are left out.
    pub(crate) skipped: Vec<String>,
    /// Those that are not there, and why.
    missing: Vec<(&'static str, String)>,
}

impl Servers {
    /// Says why the server `name` is not there, if it is not.
    pub(crate) fn missing(&self, name: &str) -> Option<&str> {
        self.missing.iter().find(|(missing, _)| *missing == name).map(|(_, why)| why.as_str())
    }
}

/// Obtains every server that can be had, and says which cannot.
pub(crate) fn obtain() -> Servers {
    let mut servers = Servers::default();
    for wanted in &WANTED {
        let tests = format!("with_{}::", wanted.name);
        match (wanted.obtain)() {
            Ok(program) => servers.environment.push((wanted.variable, program)),
            Err(why) => {
                let why = format!("{} is missing: {why:#}", wanted.name);
                servers.missing.push((wanted.name, why.clone()));
                if wanted.required && setup::must_have() {
                    servers.failed.push(why);
                } else {
                    eprintln!("skipped tests {tests}*: {why}");
                    servers.skipped.push(tests);
                }
            }
        }
    }
    servers
}

/// Obtains the servers `names` for benchmarks, and says which cannot be had: their rows are left out.
pub(crate) fn obtain_named(names: &[&str]) -> Vec<(&'static str, PathBuf)> {
    let wanted = WANTED.iter().filter(|wanted| names.contains(&wanted.name));
    let obtained = wanted.filter_map(|wanted| match (wanted.obtain)() {
        Ok(program) => Some((wanted.variable, program)),
        Err(why) => {
            eprintln!("bench: {} is missing, its rows are skipped: {why:#}", wanted.name);
            None
        }
    });
    obtained.collect()
}
