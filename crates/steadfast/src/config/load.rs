//! Filling a configuration layer by layer.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::path::{get, known, leaves, resolve, set};
use super::{Error, Origin};

/// Fills a configuration from its defaults, then from the JSON `file`, then from the variables of this process's
/// environment that begin with `prefix` and two underscores.
///
/// # Errors
/// [`Error`], which names the file with the field, or the variable, and what is wrong with it.
pub fn load<T>(file: Option<&Path>, prefix: &str) -> Result<T, Error>
where
    T: Default + Serialize + DeserializeOwned,
{
    // A value that is not UTF-8 is read with a replacement character, which the field then refuses or shows.
    let environment = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()));
    load_from(file, prefix, environment)
}

/// Fills a configuration as [`load`] does, with `environment` in place of that of the process.
///
/// All fields of `T` must be written when it is serialized (no `skip_serializing_if`), for that is how they are known.
///
/// # Errors
/// As for [`load`].
///
/// # Panics
/// When the defaults of `T` cannot be written as a JSON document and read back, which is a bug of `T`.
pub fn load_from<T>(
    file: Option<&Path>,
    prefix: &str,
    environment: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
) -> Result<T, Error>
where
    T: Default + Serialize + DeserializeOwned,
{
    let mut document = document(&T::default());
    if let Some(file) = file {
        add_all::<T>(&mut document, from_file(file)?)?;
    }
    let fields = from_environment(&document, prefix, environment);
    add_all::<T>(&mut document, fields)?;
    Ok(T::deserialize(&document).expect("each field was read back when it was added"))
}

/// A field that a layer gives.
struct Field {
    path: Vec<String>,
    /// What the value may be, the likelier first.
    readings: Vec<Value>,
    origin: Origin,
}

fn from_file(file: &Path) -> Result<Vec<Field>, Error> {
    let text = std::fs::read(file).map_err(|source| Error::Read { path: file.to_owned(), source })?;
    let fields: Map<String, Value> = serde_json::from_slice(&text).map_err(|error| Error::Syntax {
        path: file.to_owned(),
        line: error.line(),
        column: error.column(),
        message: without_position(&error),
    })?;
    let field = |(path, value): (Vec<String>, Value)| {
        let origin = Origin::File { path: file.to_owned(), field: path.join(".") };
        Field { path, readings: vec![value], origin }
    };
    // The document itself is a leaf when it is empty, and says nothing.
    Ok(leaves(Value::Object(fields)).into_iter().filter(|(path, _)| !path.is_empty()).map(field).collect())
}

fn from_environment(
    document: &Value,
    prefix: &str,
    environment: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
) -> Vec<Field> {
    let variables = environment.into_iter().map(|(name, value)| (name.into(), value.into()));
    let field = |(variable, text): (String, String)| {
        let names: Vec<&str> = variable.strip_prefix(prefix)?.strip_prefix("__")?.split("__").collect();
        let path = resolve(document, &names);
        // What is text by default stays text, though it may look like a number. `null` says nothing of the type.
        let json = match get(document, &path) {
            Some(Value::String(_)) => None,
            _ => serde_json::from_str(&text).ok(),
        };
        let readings = json.into_iter().chain([Value::String(text)]).collect();
        Some(Field { path, readings, origin: Origin::Environment { variable } })
    };
    let mut fields: Vec<Field> = variables.filter_map(field).collect();
    // The environment has no order of its own, and which error is told must not depend on chance.
    fields.sort_by(|a, b| a.path.cmp(&b.path));
    fields
}

/// Adds the fields of a layer one by one, so that an error can name the field; one that is valid only after another
/// waits for it.
fn add_all<T: Serialize + DeserializeOwned>(
    document: &mut Value,
    mut fields: Vec<Field>,
) -> Result<(), Error> {
    while !fields.is_empty() {
        let (before, mut first_error) = (fields.len(), None);
        fields.retain(|field| match add::<T>(document, field) {
            Ok(()) => false,
            Err(error) => {
                first_error.get_or_insert(error);
                true
            }
        });
        match first_error {
            Some(error) if fields.len() == before => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Sets one field to the first reading with which the document is valid.
fn add<T: Serialize + DeserializeOwned>(document: &mut Value, field: &Field) -> Result<(), Error> {
    let mut first_error = None;
    for reading in &field.readings {
        match read::<T>(document, field, reading) {
            Ok(read) => {
                *document = read;
                return Ok(());
            }
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    first_error.map_or(Ok(()), Err)
}

/// Returns the document with the field set to `reading`.
fn read<T>(document: &Value, field: &Field, reading: &Value) -> Result<Value, Error>
where
    T: Serialize + DeserializeOwned,
{
    let Field { path, origin, .. } = field;
    let mut candidate = document.clone();
    set(&mut candidate, path, reading.clone());
    let unknown =
        |expected: &[&str]| Error::Unknown { origin: origin.clone(), known: known(document, path, expected) };
    match T::deserialize(&candidate) {
        // A field that is not written back was ignored.
        Ok(config) if get(&self::document(&config), path).is_none() => Err(unknown(&[])),
        Ok(_) => Ok(candidate),
        // A map takes names that it does not have yet, so that the document does not have it is not enough.
        Err(error) if get(document, path).is_none() && is_unknown_field(&error) => {
            Err(unknown(&expected_fields(&error.to_string())))
        }
        Err(error) => Err(Error::Value { origin: origin.clone(), message: error.to_string() }),
    }
}

fn document(config: &impl Serialize) -> Value {
    serde_json::to_value(config).expect("a configuration can be written as JSON")
}

/// The message of `serde::de::Error::unknown_field`, which `deny_unknown_fields` raises.
fn is_unknown_field(error: &serde_json::Error) -> bool {
    error.to_string().starts_with("unknown field")
}

/// Reads the names from "unknown field `a`, expected one of `b`, `c`".
fn expected_fields(message: &str) -> Vec<&str> {
    let expected = message.split_once(", expected ").map_or("", |(_, expected)| expected);
    expected.split('`').skip(1).step_by(2).collect()
}

fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}
