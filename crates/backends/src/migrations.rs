//! The steps by which the tables of a view are made, one version after the other.

use steadfast_core::projection::ViewError;

/// Returns those of `steps` that tables of `version` lack; `name` is what has that version.
pub(crate) fn missing<'s, S>(name: &str, version: i64, steps: &'s [S]) -> Result<&'s [S], ViewError> {
    let missing = usize::try_from(version).ok().and_then(|version| steps.get(version..));
    missing.ok_or_else(|| {
        let newest = steps.len();
        let reason =
            format!("`{name}` has version {version}, only up to {newest}: it was made by a newer version");
        ViewError::permanent(reason)
    })
}
