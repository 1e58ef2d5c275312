//! A document as a tree in which everything knows its place.

use std::fmt;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Location, Spanned};

/// Where something stands in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) column: u64,
    /// Its bytes, where they are known.
    bytes: Option<(usize, usize)>,
}

impl Place {
    /// Returns the place of the byte `offset` of `text`.
    pub(super) fn at(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() as u64 + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() as u64 + 1;
        Self { line, column, bytes: Some((offset, 0)) }
    }

    /// Returns the part of `text` that stands here.
    pub(super) fn source(self, text: &str) -> Option<&str> {
        let (offset, length) = self.bytes?;
        text.get(offset..offset.checked_add(length)?)
    }

    /// Returns the byte at which it begins.
    pub(super) fn offset(self) -> Option<usize> {
        self.bytes.map(|(offset, _)| offset)
    }
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        let span = location.span();
        let bytes = span.byte_offset().zip(span.byte_len());
        let bytes = bytes.and_then(|(at, len)| Some((usize::try_from(at).ok()?, usize::try_from(len).ok()?)));
        Self { line: location.line(), column: location.column(), bytes }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Taken out after a fault was found in it, so that the rest can be looked at.
    Removed,
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_place: Place,
    pub(super) node: Node,
}

/// A way from the root to a node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Path(pub(super) Vec<Segment>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Field(String),
    Index(usize),
}

impl Path {
    pub(super) fn of(field: &str) -> Self {
        Self::default().field(field)
    }

    pub(super) fn field(&self, name: &str) -> Self {
        self.with(Segment::Field(name.to_owned()))
    }

    pub(super) fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    fn with(&self, segment: Segment) -> Self {
        let mut path = self.clone();
        path.0.push(segment);
        path
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Field(name) if at == 0 => f.write_str(name)?,
                Segment::Field(name) => write!(f, ".{name}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl Node {
    /// Returns the deepest node on the way that exists; a single value may stand for a list of one.
    pub(super) fn deepest(&self, path: &Path) -> &Self {
        path.0.iter().try_fold(self, |node, segment| node.child(segment).ok_or(node)).unwrap_or_else(|e| e)
    }

    /// Returns the node at the end of the way.
    pub(super) fn find(&self, path: &Path) -> Option<&Self> {
        path.0.iter().try_fold(self, |node, segment| node.child(segment))
    }

    /// Takes out the innermost list item on the way, or else the first field on it; says whether there was one.
    pub(super) fn remove(&mut self, path: &Path) -> bool {
        let last_index = path.0.iter().rposition(|segment| matches!(segment, Segment::Index(_)));
        let way = &path.0[..last_index.map_or(1, |at| at + 1).min(path.0.len())];
        let found = way.iter().try_fold(self, |node, segment| match (&mut node.value, segment) {
            (Value::Map(entries), Segment::Field(name)) => {
                entries.iter_mut().find(|entry| entry.key == *name).map(|entry| &mut entry.node)
            }
            (Value::List(items), Segment::Index(index)) => items.get_mut(*index),
            _ => None,
        });
        match found {
            Some(node) if !way.is_empty() && !matches!(node.value, Value::Removed) => {
                node.value = Value::Removed;
                true
            }
            _ => false,
        }
    }

    fn child(&self, segment: &Segment) -> Option<&Self> {
        match (&self.value, segment) {
            (Value::Map(entries), Segment::Field(name)) => {
                entries.iter().find(|entry| entry.key == *name).map(|entry| &entry.node)
            }
            (Value::List(items), Segment::Index(index)) => items.get(*index),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { place: spanned.referenced.into(), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Unsigned(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(u64::try_from(value).map_or(Value::Signed(value), Value::Unsigned))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = items.next_element()? {
            list.push(node);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            let node = entries.next_value()?;
            map.push(Entry { key: key.value, key_place: key.referenced.into(), node });
        }
        Ok(Value::Map(map))
    }
}
