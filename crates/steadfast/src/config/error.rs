//! What can be wrong with a configuration. A retry cannot help: somebody has to mend the file or the environment.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the configuration {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is not a JSON object.
    #[error("{}:{line}:{column}: {message}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1; 0 when the line is empty.
        column: usize,
        /// What was expected.
        message: String,
    },
    /// There is no such field.
    #[error("{origin}: no such field, {known}")]
    Unknown {
        /// Where it was found.
        origin: Origin,
        /// The fields that there are.
        known: String,
    },
    /// A field has a value that it cannot have.
    #[error("{origin}: {message}")]
    Value {
        /// Where it was found.
        origin: Origin,
        /// What is wrong with it.
        message: String,
    },
}

/// Where a value of the configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A field of the file, as in `runtime.drain`.
    File {
        /// The file.
        path: PathBuf,
        /// The field; empty for the whole document.
        field: String,
    },
    /// A variable of the environment.
    Environment {
        /// The variable's name.
        variable: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, field } if field.is_empty() => write!(f, "{}", path.display()),
            Self::File { path, field } => write!(f, "`{field}` in {}", path.display()),
            Self::Environment { variable } => write!(f, "{variable} in the environment"),
        }
    }
}
