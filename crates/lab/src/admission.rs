//! shim
#![allow(missing_docs)]
use std::path::{Path, PathBuf};
pub struct Check {
    pub name: String,
    pub passed: bool,
}
impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}
pub fn admit(_: &crate::spec::Document, _: &Path, _: &[PathBuf]) -> Vec<Check> {
    vec![]
}
