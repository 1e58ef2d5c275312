//! Servers that benchmarks stand on, in the folder, and so on the disk, that everything else is measured on.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context as _;
use steadfast_servers::{Error, Nats, NatsSettings, Postgres, Redis, RedisProgram};
use tempfile::TempDir;

/// What PostgreSQL is set to, beside the harness's own: as durable as it gets, and tuned for many small transactions
/// on two cores. It loses nothing with the power; `autovacuum` and checkpoints would only disturb it in a run this short.
const POSTGRES: [(&str, &str); 17] = [
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
    ("wal_sync_method", "fdatasync"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("max_replication_slots", "0"),
    ("shared_buffers", "512MB"),
    ("wal_buffers", "64MB"),
    ("min_wal_size", "2GB"),
    ("max_wal_size", "8GB"),
    ("checkpoint_timeout", "30min"),
    ("autovacuum", "off"),
    ("jit", "off"),
    ("plan_cache_mode", "force_generic_plan"),
    ("max_connections", "50"),
    // The cluster's own folder, which a socket's path is short enough in.
    ("unix_socket_directories", "."),
];

/// Makes a folder for a benchmark's files, beside what is built: the folder for temporary files may be in memory.
pub(crate) fn folder(prefix: &str) -> anyhow::Result<TempDir> {
    let target = Path::new("target");
    std::fs::create_dir_all(target).context("the folder `target` cannot be made")?;
    let folder = tempfile::Builder::new().prefix(prefix).tempdir_in(target)?;
    // PostgreSQL may run as another user, who must be able to enter.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}

/// Starts PostgreSQL, which listens on a socket in `data` of its folder too.
pub(crate) fn postgres(folder: &Path) -> Result<Postgres, Error> {
    Postgres::start_in(folder, &POSTGRES)
}

/// Starts Redis, RedisProgram, which syncs before it answers.
pub(crate) fn redis(folder: &Path) -> Result<Redis, Error> {
    Redis::start_in(RedisProgram::Redis, folder, &[])
}

/// Starts NATS, which syncs before it acknowledges if `sync_always`.
pub(crate) fn nats(folder: &Path, sync_always: bool) -> Result<Nats, Error> {
    Nats::start_in(folder, &NatsSettings { sync_always, ..NatsSettings::default() })
}
