//! Writing to the two streams; whoever closes one does not want it, and the work goes on.

use std::io::Write;

/// Writes a result and a line end to standard output.
pub(crate) fn result(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
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
