//! Where a program is.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Finds `program`: a path is taken from `folder` on, a bare name is looked for in `bin_dirs` and then in `PATH`.
/// If it is nowhere, returns where it was looked for.
pub(crate) fn find(program: &str, folder: &Path, bin_dirs: &[PathBuf]) -> Result<PathBuf, Vec<PathBuf>> {
    if program.contains('/') {
        let path = folder.join(program);
        return if is_program(&path) { Ok(path) } else { Err(vec![path]) };
    }
    let path_variable = std::env::var_os("PATH").unwrap_or_default();
    let searched: Vec<PathBuf> =
        bin_dirs.iter().cloned().chain(std::env::split_paths(&path_variable)).collect();
    let found = searched.iter().map(|folder| folder.join(program)).find(|path| is_program(path));
    found.and_then(|path| std::path::absolute(path).ok()).ok_or(searched)
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_folders_come_before_the_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let own = folder.path().join("sh");
        std::fs::write(&own, "").expect("written");
        let dirs = [folder.path().to_owned()];
        let elsewhere = find("sh", folder.path(), &dirs).expect("every system has a shell");
        assert_ne!(elsewhere, own, "a file that is not executable is no program");
        std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o700)).expect("it is ours");
        assert_eq!(find("sh", folder.path(), &dirs), Ok(own));
        assert_eq!(find("./sh", folder.path(), &[]), Ok(folder.path().join("./sh")));
        assert_eq!(find("no-such-program", folder.path(), &dirs).expect_err("there is none")[0], dirs[0]);
    }
}
