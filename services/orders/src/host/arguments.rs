use std::net::SocketAddr;
use std::path::PathBuf;

use super::guards::GuardArguments;
use super::place::{Place, PlaceParser};
use super::store::Level;

/// The arguments that all three programs take.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// A file that gets `HOST:PORT` once the program listens; it appears whole or not at all.
    #[arg(long, value_name = "FILE")]
    pub addr_file: Option<PathBuf>,
    /// The folder of the event log, as `--store file:DIR`; it is made if it does not exist.
    #[arg(long, value_name = "DIR", required_unless_present = "store", conflicts_with = "store")]
    pub data: Option<PathBuf>,
    /// Where events are kept: file:DIR, sqlite:FILE, postgres://USER:PASSWORD@HOST:PORT/DATABASE (with
    /// `?sslmode=verify-full`), in which each program takes a schema of its name,
    /// redis://USER:PASSWORD@HOST:PORT/DATABASE (rediss: with TLS), in which its keys begin with its name, or
    /// nats://HOST:PORT (with `?sync=always` where the server syncs before it acknowledges), in which each takes a stream
    /// of its name.
    #[arg(long, value_name = "URL", value_parser = PlaceParser)]
    pub store: Option<Place>,
    /// How safe an event must be before anybody is told of it. A store that cannot do it is refused.
    #[arg(long, value_name = "LEVEL", value_enum, default_value = "durable")]
    pub durability: Level,
    /// A file with the token that shows `/diagnostics`, which is not there otherwise. STEADFAST_DIAGNOSTICS_TOKEN in the
    /// environment holds the token itself.
    #[arg(long, value_name = "FILE")]
    pub diagnostics_token_file: Option<PathBuf>,
    /// The guards of calls.
    #[command(flatten)]
    pub guarding: GuardArguments,
}
