//! `steadfast validate`.

use serde::Serialize;
use steadfast_lab::admission;
use steadfast_lab::report::Outcome;

use crate::arguments::{Format, Validate};
use crate::{Failure, documents, print};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Valid {
    name: String,
    file: String,
    admission: Vec<Check>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    name: String,
    passed: bool,
    reason: String,
}

/// Checks documents; what admission would refuse now is shown, but only a wrong document is an error.
pub(crate) fn run(arguments: &Validate) -> Result<Outcome, Failure> {
    let documents = documents::read(&arguments.files)?;
    let here = std::env::current_dir().map_err(Failure::internal)?;
    let valid: Vec<Valid> = documents
        .iter()
        .map(|document| Valid {
            name: document.experiment.metadata.name.clone(),
            file: document.file.display().to_string(),
            admission: admission::admit(document, &here, &arguments.bin_dir)
                .into_iter()
                .map(|check| Check {
                    name: check.name.to_string(),
                    passed: check.passed,
                    reason: check.to_string(),
                })
                .collect(),
        })
        .collect();
    match arguments.format {
        Format::Json => print::json(&valid)?,
        Format::Human => valid.iter().for_each(show),
    }
    Ok(Outcome::Pass)
}

fn show(valid: &Valid) {
    print::result(&format!("{}: {} is valid", valid.file, valid.name));
    print::result("  admission checks before a run:");
    for check in &valid.admission {
        let mark = if check.passed { "ok     " } else { "refused" };
        print::result(&format!("    {mark}  {}", check.reason));
    }
}
