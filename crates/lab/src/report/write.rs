//! Writing a report's files.

use std::io;
use std::path::Path;

use super::{Report, html, junit};

/// Writes `report.json`, `report.html` and `junit.xml` into `folder`, replacing what an earlier call wrote.
///
/// # Errors
/// A file cannot be written, or the report cannot be rendered.
pub fn write(report: &Report, folder: &Path) -> io::Result<()> {
    let json = serde_json::to_vec_pretty(report).map_err(io::Error::other)?;
    std::fs::write(folder.join("report.json"), json)?;
    std::fs::write(folder.join("junit.xml"), junit(std::slice::from_ref(report)))?;
    std::fs::write(folder.join("report.html"), html(report).map_err(io::Error::other)?)
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let report = sample::report();
        write(&report, folder.path()).expect("written");
        let json = std::fs::read(folder.path().join("report.json")).expect("the file");
        let back: Report = serde_json::from_slice(&json).expect("the same format");
        assert_eq!(back.verdict.reason, report.verdict.reason);
        assert_eq!(back.steps.len(), report.steps.len());
    }

    #[test]
    fn the_published_schema_is_current() {
        let schema = serde_json::to_string_pretty(&schemars::schema_for!(Report)).expect("a schema") + "\n";
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/report.schema.json");
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::write(&file, &schema).expect("written");
        }
        let published = std::fs::read_to_string(&file).expect("schemas/report.schema.json is there");
        assert_eq!(published, schema, "run the tests with UPDATE_SCHEMAS=1 to publish it anew");
    }
}
