//! A place in a JSON value.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::text::JsonPathText;

/// A place in a JSON value: the part of RFC 9535 that names places and does not compute, `$`, `.name`, `['name']`,
/// `[0]` and `[*]`.
///
/// # Examples
/// ```
/// use serde_json::json;
/// use steadfast_lab::spec::JsonPath;
///
/// let path: JsonPath = "$.events[*].id".parse()?;
/// let answer = json!({"events": [{"id": 1}, {"id": 2}, {}]});
/// assert_eq!(path.all(&answer), [&json!(1), &json!(2)]);
/// assert_eq!(path.first(&answer), Some(&json!(1)));
/// # Ok::<(), steadfast_lab::spec::InvalidJsonPath>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JsonPath {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Part {
    Name(String),
    Index(usize),
    Each,
}

/// A text that is not a path. Mend the text; repeating cannot help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path `{text}`: {problem} at byte {offset}; write for example `$.events[*].id`")]
pub struct InvalidJsonPath {
    /// The text as it stands.
    pub text: String,
    /// The byte at which reading stopped.
    pub offset: usize,
    /// What is wrong there.
    pub problem: &'static str,
}

/// More parts than anybody needs.
const PARTS_MAX: usize = 32;

impl JsonPath {
    /// Returns the path of the whole value, `$`.
    pub fn root() -> Self {
        Self { text: "$".to_owned(), parts: Vec::new() }
    }

    /// Returns the text as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Lists all values at this place; those that do not have the place are passed over.
    pub fn all<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        let mut found = vec![value];
        for part in &self.parts {
            found = match part {
                Part::Name(name) => found.into_iter().filter_map(|v| v.get(name)).collect(),
                Part::Index(index) => found.into_iter().filter_map(|v| v.get(index)).collect(),
                Part::Each => found.into_iter().filter_map(Value::as_array).flatten().collect(),
            };
        }
        found
    }

    /// Returns the first value at this place.
    pub fn first<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.all(value).first().copied()
    }

    /// Splits `A[*]B` at its first `[*]` into the list `A` and the place `$B` within each of its items.
    pub(crate) fn split_at_each(&self) -> Option<(Self, Self)> {
        let at = self.parts.iter().position(|part| *part == Part::Each)?;
        let of = |parts: &[Part]| {
            let text = parts.iter().fold("$".to_owned(), |text, part| match part {
                Part::Name(name) => format!("{text}['{name}']"),
                Part::Index(index) => format!("{text}[{index}]"),
                Part::Each => text + "[*]",
            });
            Self { text, parts: parts.to_vec() }
        };
        Some((of(&self.parts[..at]), of(&self.parts[at + 1..])))
    }
}

impl FromStr for JsonPath {
    type Err = InvalidJsonPath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |offset, problem| InvalidJsonPath { text: text.to_owned(), offset, problem };
        if !text.starts_with('$') {
            return Err(invalid(0, "a path begins with `$`"));
        }
        let (mut parts, mut at) = (Vec::new(), 1);
        while at < text.len() {
            let rest = &text[at..];
            let (part, length) = if let Some(name) = rest.strip_prefix('.') {
                let length = name.find(['.', '[']).unwrap_or(name.len());
                if !name[..length].chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) {
                    return Err(invalid(at + 1, "not a name; put it between `['` and `']`"));
                }
                (Part::Name(name[..length].to_owned()), 1 + length)
            } else if let Some(quoted) = rest.strip_prefix("['") {
                let length = quoted.find("']").ok_or_else(|| invalid(at, "`['` is not closed"))?;
                (Part::Name(quoted[..length].to_owned()), length + 4)
            } else if rest.starts_with("[*]") {
                (Part::Each, 3)
            } else if let Some(index) = rest.strip_prefix('[') {
                let length = index.find(']').ok_or_else(|| invalid(at, "`[` is not closed"))?;
                let number = index[..length].parse().map_err(|_| invalid(at + 1, "not an index"))?;
                (Part::Index(number), length + 2)
            } else {
                return Err(invalid(at, "expected `.` or `[`"));
            };
            if matches!(&part, Part::Name(name) if name.is_empty()) {
                return Err(invalid(at, "a name is missing"));
            }
            if parts.len() == PARTS_MAX {
                return Err(invalid(at, "too many parts"));
            }
            parts.push(part);
            at += length;
        }
        Ok(Self { text: text.to_owned(), parts })
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for JsonPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for JsonPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for JsonPath {
    fn schema_name() -> Cow<'static, str> {
        JsonPathText::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        JsonPathText::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn path(text: &str) -> JsonPath {
        text.parse().expect(text)
    }

    #[test]
    fn every_form_finds_its_place() {
        let value = json!({"a": {"b c": [10, {"d": 20}]}});
        assert_eq!(path("$").first(&value), Some(&value));
        assert_eq!(path("$.a['b c'][1].d").first(&value), Some(&json!(20)));
        assert_eq!(path("$.a['b c'][*].d").all(&value), [&json!(20)]);
        assert_eq!(path("$.a.x.y").first(&value), None);
        assert_eq!(path("$[*]").all(&json!([1, 2])), [&json!(1), &json!(2)]);
    }

    #[test]
    fn errors_point_at_the_place() {
        for (text, offset) in
            [("", 0), ("a.b", 0), ("$a", 1), ("$.", 1), ("$[x]", 2), ("$.a[", 3), ("$['a", 1), ("$..a", 1)]
        {
            assert_eq!(text.parse::<JsonPath>().expect_err(text).offset, offset, "{text}");
        }
        assert!(format!("${}", ".a".repeat(40)).parse::<JsonPath>().is_err());
    }

    #[test]
    fn a_list_is_split_from_its_items() {
        let (list, item) = path("$.a[*].b").split_at_each().expect("has a [*]");
        assert_eq!(list.all(&json!({"a": [1]})), [&json!([1])]);
        assert_eq!(item.first(&json!({"b": 2})), Some(&json!(2)));
        assert_eq!(path("$.a").split_at_each(), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in r"[$.\[\]*'a0ü]{0,16}") {
            let _ = text.parse::<JsonPath>();
        }
    }
}
