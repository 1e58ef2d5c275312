use std::fmt;
use std::str::FromStr;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A place in a JSON document: the subset `$.a.b[0]` of JSONPath (RFC 9535) that names at most one value.
///
/// The document is read once and only the value named is kept; of a key that appears twice the first counts.
///
/// # Examples
/// ```
/// use steadfast_load::Path;
///
/// let path: Path = "$.order.lines[1].sku".parse()?;
/// let document = br#"{"order": {"lines": [{"sku": "a"}, {"sku": "b"}]}}"#;
/// assert_eq!(path.find(document).as_deref(), Some("b"));
/// # Ok::<(), steadfast_load::PathError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Key(String),
    Index(usize),
}

/// A path that cannot be read. Repeating cannot help; the text must be mended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path `{text}` at byte {offset}: expected `.name` or `[number]`; write a path such as $.items[0].id")]
pub struct PathError {
    /// The text as it stands.
    pub text: String,
    /// The byte of `text` at which reading stopped.
    pub offset: usize,
}

impl Path {
    /// Returns the value at this place of `document` as text: a string without its quotes, anything else as JSON.
    ///
    /// None when the document is not JSON as far as it was read, and where there is no value or `null`.
    pub fn find(&self, document: &[u8]) -> Option<String> {
        let mut reader = serde_json::Deserializer::from_slice(document);
        let value = Place(&self.segments).deserialize(&mut reader).ok()??;
        match value {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => Some(text),
            other => Some(other.to_string()),
        }
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |offset| PathError { text: text.to_owned(), offset };
        let mut rest = text.strip_prefix('$').ok_or_else(|| error(0))?;
        let mut segments = Vec::new();
        while !rest.is_empty() {
            let at = error(text.len() - rest.len());
            if let Some(named) = rest.strip_prefix('.') {
                let length = named.find(['.', '[']).unwrap_or(named.len());
                let name = &named[..length];
                if name.is_empty() || name.contains(['*', ']', '\'', '"', ' ']) {
                    return Err(at);
                }
                segments.push(Segment::Key(name.to_owned()));
                rest = &named[length..];
            } else {
                let (index, behind) =
                    rest.strip_prefix('[').and_then(|r| r.split_once(']')).ok_or_else(|| at.clone())?;
                segments.push(Segment::Index(index.parse().map_err(|_| at)?));
                rest = behind;
            }
        }
        Ok(Self { segments })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        self.segments.iter().try_for_each(|segment| match segment {
            Segment::Key(name) => write!(f, ".{name}"),
            Segment::Index(index) => write!(f, "[{index}]"),
        })
    }
}

/// Reads what stands at the rest of a path and skips all else without building it.
struct Place<'a>(&'a [Segment]);

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Option<serde_json::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match self.0 {
            [] => serde::Deserialize::deserialize(deserializer).map(Some),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = Option<serde_json::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array that holds the value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<std::borrow::Cow<'_, str>>()? {
            match self.0 {
                [Segment::Key(name), rest @ ..] if found.is_none() && *name == key => {
                    found = map.next_value_seed(Place(rest))?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let [Segment::Index(index), rest @ ..] = self.0 else {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(None);
        };
        for _ in 0..*index {
            if seq.next_element::<IgnoredAny>()?.is_none() {
                return Ok(None);
            }
        }
        let found = seq.next_element_seed(Place(rest))?.flatten();
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DOCUMENT: &[u8] =
        br#" {"id": "o-1", "n": 12.5, "no": null, "deep": {"list": [1, {"k\u0065y": true}, []]}, "id": 2} "#;

    fn find(path: &str) -> Option<String> {
        path.parse::<Path>().expect(path).find(DOCUMENT)
    }

    #[test]
    fn each_kind_of_value_is_found() {
        assert_eq!(find("$.id").as_deref(), Some("o-1"));
        assert_eq!(find("$.n").as_deref(), Some("12.5"));
        assert_eq!(find("$.deep.list[1].key").as_deref(), Some("true"));
        assert_eq!(find("$.deep.list[2]").as_deref(), Some("[]"));
        assert!(find("$").is_some_and(|all| all.contains("deep")));
    }

    #[test]
    fn what_is_not_there_is_none() {
        for path in ["$.no", "$.other", "$.id.x", "$.deep[0]", "$.deep.list[3]", "$.deep.list.key", "$[0]"] {
            assert_eq!(find(path), None, "{path}");
        }
        assert_eq!("$.id".parse::<Path>().map(|p| p.find(b"<html>")), Ok(None));
    }

    #[test]
    fn errors_point_at_the_place() {
        for (text, offset) in
            [("", 0), ("id", 0), ("$id", 1), ("$.", 1), ("$.a[x]", 3), ("$.a[0", 3), ("$[*].x", 1)]
        {
            assert_eq!(text.parse::<Path>().expect_err(text).offset, offset, "{text}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_walk(index in 0_usize..4, depth in 0_usize..3, key in "[ab]") {
            let inner = serde_json::json!([{"a": 1, "b": [2, 3]}, 4, {"b": {"a": "x"}}]);
            let mut document = inner.clone();
            let mut path = "$".to_owned();
            for _ in 0..depth {
                document = serde_json::json!({"skipped": [1, 2], "d": document, "behind": {}});
                path.push_str(".d");
            }
            path.push_str(&format!("[{index}].{key}"));
            let expected = inner.get(index).and_then(|v| v.get(&key)).map(|v| match v {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            let path: Path = path.parse().expect("a path");
            prop_assert_eq!(path.find(document.to_string().as_bytes()), expected);
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<Path>();
        }
    }
}
