//! What is wrong with a document, and how to mend it.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong with a document, in the form `file:line:column: field: problem; mend`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Diagnostic {
    /// The document's file, as it was given.
    pub file: PathBuf,
    /// The line, from 1; 0 where the file could not be read at all.
    pub line: u64,
    /// The column, from 1, in characters; 0 where the file could not be read at all.
    pub column: u64,
    /// The field, such as `faults[0].target`; empty where the fault is the whole document's.
    pub field: String,
    /// What is wrong.
    pub problem: String,
    /// What to write instead; empty where there is no advice.
    pub mend: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        if !self.field.is_empty() {
            write!(f, " {}:", self.field)?;
        }
        write!(f, " {}", self.problem)?;
        if !self.mend.is_empty() {
            write!(f, "; {}", self.mend)?;
        }
        Ok(())
    }
}

/// All that is wrong with a file of documents, in the order of its lines; never empty. Mend the file; repeating cannot
/// help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Sorts what was found by its place and keeps the first `max`; none where nothing was found.
    pub(super) fn new(mut found: Vec<Diagnostic>, max: usize) -> Option<Self> {
        found.sort_by_key(|fault| (fault.line, fault.column));
        let mut told = HashSet::new();
        found.retain(|fault| told.insert(fault.clone()));
        found.truncate(max);
        (!found.is_empty()).then_some(Self(found))
    }

    /// Makes one that holds a single diagnostic.
    pub(super) fn one(fault: Diagnostic) -> Self {
        Self(vec![fault])
    }

    /// Lists them.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// Advises the known name that is nearest to `name`, or else lists what is known.
pub(super) fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let wanted = name.to_lowercase();
    let scored = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase()), candidate));
    match scored.min() {
        Some((edits, candidate)) if edits <= (name.chars().count() / 3).max(1) => {
            format!("did you mean `{candidate}`?")
        }
        Some(_) => {
            let quoted: Vec<String> = known.iter().take(16).map(|name| format!("`{name}`")).collect();
            format!("known: {}", quoted.join(", "))
        }
        None => "there is none".to_owned(),
    }
}
