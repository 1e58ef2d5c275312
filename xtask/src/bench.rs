//! Side-by-side benchmarks.

use crate::{command, servers, setup};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Runs only the benchmarks whose name starts with this; `plots` draws those of the guide instead.
    name: Option<String>,
    /// Shorter runs, for a first look.
    #[arg(long)]
    quick: bool,
    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.name.as_deref().is_none_or(|name| name.starts_with("load")) {
        for wanted in [setup::WRK, setup::K6] {
            if let Err(why) = setup::obtain(&wanted) {
                eprintln!("bench: {} is missing, its rows are skipped: {why:#}", wanted.name);
            }
        }
    }
    let servers: &[(&str, &[&str])] = &[("log", &["postgres"]), ("stores", &["postgres", "redis", "nats"])];
    let asked = |group: &str| arguments.name.as_deref().is_none_or(|name| group.starts_with(name));
    let wanted = servers.iter().filter(|(group, _)| asked(group)).flat_map(|(_, names)| *names);
    let environment = servers::obtain_named(&wanted.copied().collect::<Vec<_>>());
    let mut command =
        command::cargo(&["run", "--quiet", "--locked", "--release", "-p", "steadfast-bench", "--"]);
    command.args(arguments.name.as_deref());
    command.args(arguments.quick.then_some("--quick"));
    command.args(arguments.json.then_some("--json"));
    command.envs(environment);
    command.env("STEADFAST_K6", setup::folder("k6").join("bin/k6"));
    command::run(command)
}
