use std::path::PathBuf;

use crate::Error;

/// Finds `program`: at the path that the environment variable `variable` holds, in `PATH`, or in the folders where
/// Debian keeps servers.
///
/// # Errors
/// [`Error::Missing`] with `mend`.
pub fn locate(program: &'static str, variable: &str, mend: &'static str) -> Result<PathBuf, Error> {
    if let Some(path) = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.exists()) {
        return Ok(path);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let postgres = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .chain(postgres.map(|version| version.path().join("bin")))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
        .ok_or(Error::Missing { program, mend })
}
