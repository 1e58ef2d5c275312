//! What a process wrote, for messages.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

const LINES_MAX: usize = 20;
const LINE_CHARS_MAX: usize = 400;
const TAIL_BYTES_MAX: u64 = 64 * 1024;

/// Returns the last lines of the file at `path` beyond byte `from`: at most 20, each cut at 400 characters.
pub(crate) fn last_lines(path: &Path, from: u64) -> Vec<String> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let start = from.max(file.metadata()?.len().saturating_sub(TAIL_BYTES_MAX));
        file.seek(SeekFrom::Start(start))?;
        let mut tail = Vec::new();
        file.take(TAIL_BYTES_MAX).read_to_end(&mut tail)?;
        Ok(tail)
    };
    let tail = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&tail);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let skipped = lines.len().saturating_sub(LINES_MAX);
    lines[skipped..].iter().map(|line| line.chars().take(LINE_CHARS_MAX).collect()).collect()
}

/// Writes `lines` below a message, indented; nothing if there are none.
pub(crate) fn below(lines: &[String]) -> String {
    if lines.is_empty() {
        return "; it wrote nothing".to_owned();
    }
    format!("; its last lines:\n  {}", lines.join("\n  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_bounded_and_begins_where_asked() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let before = "an earlier start\n";
        let text: String = (0..100).map(|n| format!("line {n} {}\n", "x".repeat(1000))).collect();
        std::fs::write(&path, format!("{before}{text}")).expect("written");
        let lines = last_lines(&path, before.len() as u64);
        assert_eq!(lines.len(), LINES_MAX);
        assert!(lines[LINES_MAX - 1].starts_with("line 99 "));
        assert_eq!(lines[0].chars().count(), LINE_CHARS_MAX);
        std::fs::write(&path, before).expect("written");
        assert_eq!(last_lines(&path, before.len() as u64), Vec::<String>::new());
        assert_eq!(last_lines(&path, 0), ["an earlier start"]);
    }
}
