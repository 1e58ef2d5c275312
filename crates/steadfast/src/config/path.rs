//! Fields of a JSON document by their path.

use serde_json::{Map, Value};

/// Collects the fields of `value` that hold no further fields, each with its path.
pub(super) fn leaves(value: Value) -> Vec<(Vec<String>, Value)> {
    fn collect(value: Value, path: &mut Vec<String>, leaves: &mut Vec<(Vec<String>, Value)>) {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (name, value) in fields {
                    path.push(name);
                    collect(value, path, leaves);
                    path.pop();
                }
            }
            leaf => leaves.push((path.clone(), leaf)),
        }
    }
    let mut all = Vec::new();
    collect(value, &mut Vec::new(), &mut all);
    all
}

/// Returns the field at `path`, if there is one.
pub(super) fn get<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, name| value.get(name))
}

/// Sets the field at `path`; what stands in the way and is no object becomes one.
pub(super) fn set(value: &mut Value, path: &[String], leaf: Value) {
    let mut place = value;
    for name in path {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        let Value::Object(fields) = place else { unreachable!("it was just made an object") };
        place = fields.entry(name.as_str()).or_insert(Value::Null);
    }
    *place = leaf;
}

/// Returns the path that `names` mean in `value`: each name as the document writes it, whatever its case and its
/// underscores; what the document does not have stays as it is, in lower case. Of a part that is absent nothing is known:
/// its names are taken to be in camel case, as in `attemptsMax`.
pub(super) fn resolve(value: &Value, names: &[&str]) -> Vec<String> {
    let mut place = Some(value);
    let mut path = Vec::with_capacity(names.len());
    for name in names {
        let fields = place.and_then(Value::as_object);
        let known = fields.and_then(|fields| fields.keys().find(|key| plain(key) == plain(name)));
        place = known.and_then(|key| place?.get(key));
        path.push(known.cloned().unwrap_or_else(|| match fields {
            Some(_) => name.to_lowercase(),
            None => camel_case(name),
        }));
    }
    path
}

/// Says which fields there are where `path` does not lead on, and which of them is nearly what was written. `expected`
/// are the names that are taken there, where more is known than the document shows: a part that is absent shows none.
pub(super) fn known(value: &Value, path: &[String], expected: &[&str]) -> String {
    let depth = (0..path.len()).find(|&depth| get(value, &path[..=depth]).is_none()).unwrap_or(path.len());
    let parent = &path[..depth];
    let place = if parent.is_empty() { "the document".to_owned() } else { format!("`{}`", parent.join(".")) };
    let fields = get(value, parent).and_then(Value::as_object).filter(|fields| !fields.is_empty());
    let mut names: Vec<&str> = match fields {
        Some(fields) => fields.keys().map(String::as_str).collect(),
        None => expected.to_vec(),
    };
    // In order of the alphabet, whatever the order that the document keeps.
    names.sort_unstable();
    let hint = path.get(depth).and_then(|name| nearest(name, &names));
    let hint = hint.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
    if names.is_empty() {
        format!("{place} has none")
    } else {
        format!("{place} has {}{hint}", names.join(", "))
    }
}

/// Returns the name that `written` is most likely meant to be, if one is near.
fn nearest<'n>(written: &str, names: &[&'n str]) -> Option<&'n str> {
    let distance = |name: &str| strsim::damerau_levenshtein(&plain(written), &plain(name));
    let (distance, name) = names.iter().map(|name| (distance(name), *name)).min()?;
    (distance <= 1 + written.len() / 4).then_some(name)
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_').map(str::to_lowercase);
    let first = words.next().unwrap_or_default();
    words.fold(first, |mut name, word| {
        let mut letters = word.chars();
        name.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        name.push_str(letters.as_str());
        name
    })
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}
