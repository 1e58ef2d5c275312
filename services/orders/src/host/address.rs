use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// Writes `HOST:PORT` and a line end to `file`, so that a reader sees all of it or no file at all.
///
/// # Errors
/// What the file system says.
pub(super) fn write(file: &Path, address: SocketAddr) -> io::Result<()> {
    let mut name = file.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = file.with_file_name(name);
    std::fs::write(&temporary, format!("{address}\n"))?;
    std::fs::rename(&temporary, file).inspect_err(|_| {
        let _ = std::fs::remove_file(&temporary);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_one_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("orders.addr");
        for port in [1, 2] {
            write(&file, SocketAddr::from(([127, 0, 0, 1], port))).expect("it can be written");
        }
        assert_eq!(std::fs::read_to_string(&file).expect("it is there"), "127.0.0.1:2\n");
        assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 1);
    }
}
