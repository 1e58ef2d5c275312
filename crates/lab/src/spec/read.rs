//! From a file to documents.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use serde_saphyr::options::DuplicateKeyPolicy;

use super::Experiment;
use super::check;
use super::decode::{Fault, decode};
use super::diagnostic::{Diagnostic, Diagnostics};
use super::node::{Node, Place};

/// The largest file of documents that is read.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;

/// How many faults of one file are told; the rest is mostly a consequence of them.
const FAULTS_MAX: usize = 50;

/// A document that was read and found right.
#[derive(Debug, Clone)]
pub struct Document {
    /// Its file, as it was given.
    pub file: PathBuf,
    /// The folder to which its relative file names refer.
    pub dir: PathBuf,
    /// Its text, as it was given.
    pub text: String,
    /// What it says.
    pub experiment: Experiment,
}

/// Reads all documents of the file `path` and checks them.
///
/// # Errors
/// [`Diagnostics`] with all that is wrong, also where the file cannot be read.
pub fn read_file(path: &Path) -> Result<Vec<Document>, Diagnostics> {
    let whole = |problem: String, mend: &str| Diagnostics::one(at(path, Place::default(), problem, mend));
    let bytes = read_bounded(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::FileTooLarge => whole("is larger than 1 MiB".to_owned(), "split it"),
        _ => whole(format!("cannot be read: {error}"), "give the path of a readable file"),
    })?;
    read_bytes(path, &bytes)
}

/// Reads all documents in `bytes`, the content of the file `path`, and checks them. Relative file names in them refer
/// to the folder of `path`.
///
/// # Errors
/// [`Diagnostics`] with all that is wrong.
///
/// # Examples
/// ```
/// use std::path::Path;
/// use steadfast_lab::spec::read_bytes;
///
/// let wrong = b"apiVersion: steadfast.dev/v1\nkind: Experiment\nmetadata: {nam: x}\n";
/// let diagnostics = read_bytes(Path::new("x.yaml"), wrong).unwrap_err();
/// let first = diagnostics.iter().next().unwrap().to_string();
/// assert_eq!(first, "x.yaml:3:11: metadata: `name` is missing; add it");
/// ```
pub fn read_bytes(path: &Path, bytes: &[u8]) -> Result<Vec<Document>, Diagnostics> {
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(Diagnostics::one(at(
            path,
            Place::default(),
            "is larger than 1 MiB".to_owned(),
            "split it",
        )));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let valid = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
        let problem = format!("byte {} is not UTF-8", valid.len());
        Diagnostics::one(at(path, Place::at(valid, valid.len()), problem, "save the file as UTF-8 text"))
    })?;
    let trees: Vec<Node> = serde_saphyr::from_multiple_with_options(text, options())
        .map_err(|error| Diagnostics::one(yaml_error(path, &error)))?;
    if trees.is_empty() {
        let problem = "holds no document".to_owned();
        return Err(Diagnostics::one(at(path, Place::default(), problem, "write an experiment")));
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (mut documents, mut found) = (Vec::new(), Vec::new());
    for (index, tree) in trees.iter().enumerate() {
        match read_tree(tree, text, dir) {
            Ok(experiment) => documents.push(Document {
                file: path.to_owned(),
                dir: dir.to_owned(),
                text: text_of(text, &trees, index),
                experiment,
            }),
            Err(faults) => found.extend(faults.into_iter().map(|fault| Diagnostic {
                field: fault.path.to_string(),
                ..at(path, fault.place, fault.problem, &fault.mend)
            })),
        }
    }
    Diagnostics::new(found, FAULTS_MAX).map_or(Ok(documents), Err)
}

/// Decodes and checks one document. What cannot be decoded is taken out and told, and decoding tried again, so that
/// one pass of the author's mending suffices; the checks run only on what is whole.
fn read_tree(tree: &Node, text: &str, dir: &Path) -> Result<Experiment, Vec<Fault>> {
    let (mut rest, mut faults) = (tree.clone(), Vec::new());
    let mut whole = true;
    loop {
        let unknown = RefCell::new(Vec::new());
        let decoded = decode::<Experiment>(&rest, text, &unknown);
        // An unknown field is found again in every pass; it is told once.
        faults.append(&mut unknown.into_inner());
        match decoded {
            Ok(mut experiment) => {
                if whole {
                    faults.extend(check::check(&mut experiment, tree, text, dir));
                }
                return if faults.is_empty() { Ok(experiment) } else { Err(faults) };
            }
            Err(fault) => {
                whole = false;
                // A field that was taken out is missing, but that is no news to its author.
                if fault.missing.is_some_and(|name| rest.find(&fault.path.field(name)).is_some()) {
                    return Err(faults);
                }
                let again = faults.len() < FAULTS_MAX && rest.remove(&fault.path);
                faults.push(*fault);
                if !again {
                    return Err(faults);
                }
            }
        }
    }
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 24,
            flow_nesting_limit: 24,
            max_nodes: 50_000,
            max_events: 200_000,
            max_documents: 64,
            max_aliases: 100,
            max_anchors: 100,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 10_000,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        with_snippet: false,
    }
}

fn yaml_error(path: &Path, error: &serde_saphyr::Error) -> Diagnostic {
    use serde_saphyr::Error;

    let error = error.without_snippet();
    let place = error.location().map(Place::from).unwrap_or_default();
    let text = error.to_string();
    let (problem, mend) = match error {
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            (format!("`{key}` stands twice in one map"), "keep one of them")
        }
        Error::Budget { .. } | Error::AliasReplayLimitExceeded { .. } => {
            (format!("is too large or too deeply nested: {text}"), "write it plainly")
        }
        _ => (text, "mend the YAML"),
    };
    at(path, place, problem, mend)
}

fn at(file: &Path, place: Place, problem: String, mend: &str) -> Diagnostic {
    Diagnostic {
        file: file.to_owned(),
        line: place.line,
        column: place.column,
        field: String::new(),
        problem,
        mend: mend.to_owned(),
    }
}

/// Returns the text of document `index`: the whole file where it is the only one.
fn text_of(text: &str, trees: &[Node], index: usize) -> String {
    let begin = |tree: &Node| tree.place.offset().filter(|at| text.is_char_boundary(*at));
    let marker = |at: usize| text[..at].rfind("\n---").map_or(0, |marker| marker + 1);
    let from = if index == 0 { 0 } else { begin(&trees[index]).map_or(0, marker) };
    let to = trees.get(index + 1).and_then(begin).map_or(text.len(), marker);
    text.get(from..to).unwrap_or(text).to_owned()
}

/// Reads a file that is not larger than a document may be.
pub(super) fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;

    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(DOCUMENT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}
