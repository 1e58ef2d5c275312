//! Reading the documents that the command line names.

use std::path::PathBuf;

use steadfast_lab::spec::{Document, read_file};

use crate::Failure;

/// Reads all documents of all files; what is wrong in any of them is told at once.
pub(crate) fn read(files: &[PathBuf]) -> Result<Vec<Document>, Failure> {
    let (mut documents, mut wrong) = (Vec::new(), Vec::new());
    for file in files {
        match read_file(file) {
            Ok(read) => documents.extend(read),
            Err(diagnostics) => wrong.push(diagnostics.to_string()),
        }
    }
    if wrong.is_empty() { Ok(documents) } else { Err(Failure::documents(&wrong)) }
}

/// Keeps the experiments that are named, all if none is.
pub(crate) fn only(documents: Vec<Document>, names: &[String]) -> Result<Vec<Document>, Failure> {
    if names.is_empty() {
        return Ok(documents);
    }
    let known = |name: &String| documents.iter().any(|d| d.experiment.metadata.name == *name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        let have: Vec<&str> = documents.iter().map(|d| d.experiment.metadata.name.as_str()).collect();
        return Err(Failure::usage(format!(
            "no experiment is called `{unknown}`; there is {}",
            have.join(", ")
        )));
    }
    Ok(documents.into_iter().filter(|d| names.contains(&d.experiment.metadata.name)).collect())
}
