//! Writing to the two streams; whoever closes one does not want it, and the work goes on.

use std::io::{ErrorKind, Write};
use std::sync::OnceLock;

/// Why a result could not be written.
static LOST: OnceLock<String> = OnceLock::new();

/// Writes a result and a line end to standard output.
pub(crate) fn result(text: &str) {
    line(text);
}

/// Writes a line of a result, and says no when it could not be written.
pub(crate) fn line(text: &str) -> bool {
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    if let Err(error) = &written
        && error.kind() != ErrorKind::BrokenPipe
    {
        let _ = LOST.set(error.to_string());
    }
    written.is_ok()
}

/// Says why a result could not be written, if one could not.
pub(crate) fn lost() -> Option<&'static str> {
    LOST.get().map(String::as_str)
}

/// Writes a line for whoever watches to standard error.
pub(crate) fn aside(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Writes what went wrong to standard error.
pub(crate) fn error(text: &str) {
    aside(&format!("steadfast: {text}"));
}

/// Writes a value as JSON to standard output.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<(), crate::Failure> {
    let text = serde_json::to_string_pretty(value).map_err(crate::Failure::internal)?;
    result(&text);
    Ok(())
}
