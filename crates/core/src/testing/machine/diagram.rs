use std::path::Path;

use crate::machine::Machine;

/// Checks that the file `path` holds the diagram of a machine, so that documents cannot lag behind. With
/// `UPDATE_DIAGRAMS=1` in the environment, writes it.
///
/// # Panics
/// The file holds something else or cannot be read: the test fails.
///
/// # Examples
/// ```no_run
/// use steadfast_core::machine::Lifecycle;
///
/// steadfast_core::testing::assert_diagram::<Lifecycle>(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/lifecycle.mmd"));
/// ```
#[track_caller]
pub fn assert_diagram<M: Machine>(path: impl AsRef<Path>) {
    let update = std::env::var_os("UPDATE_DIAGRAMS").is_some();
    if let Err(problem) = check::<M>(path.as_ref(), update) {
        panic!("{}: {problem}", path.as_ref().display());
    }
}

pub(super) fn check<M: Machine>(path: &Path, update: bool) -> Result<(), String> {
    let diagram = M::diagram();
    if update {
        return std::fs::write(path, diagram).map_err(|error| error.to_string());
    }
    match std::fs::read_to_string(path) {
        Ok(committed) if committed == diagram => Ok(()),
        Ok(_) => {
            Err(format!("is out of date; run the test with UPDATE_DIAGRAMS=1, or let it be:\n{diagram}"))
        }
        Err(error) => Err(format!("{error}; run the test with UPDATE_DIAGRAMS=1 to write it")),
    }
}
