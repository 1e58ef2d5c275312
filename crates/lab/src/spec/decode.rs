//! From the tree to the types, by way of serde; unknown fields are collected on the way instead of ending it.

use std::cell::RefCell;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};

use super::diagnostic::nearest;
use super::node::{Entry, Node, Path, Place, Value};

/// Keys that the design names and nobody has built yet, by the type they belong to. They are refused by name: a fault
/// that is not injected must never look like one that did no harm.
const DESIGNED: [(&str, &[&str]); 5] = [
    ("System", &["attach"]),
    (
        "Fault",
        &[
            "proxy",
            "kernel",
            "chaosmesh",
            "disk",
            "clock",
            "memory",
            "cpu",
            "bandwidth",
            "loss",
            "corrupt",
            "duplicate",
            "reorder",
            "partition",
            "reset",
            "slice",
            "slowclose",
            "stream",
            "tcp",
            "network",
            "pool",
            "diagnostics",
            "cgroup",
            "block",
            "starvation",
        ],
    ),
    ("Objective", &["openslo", "file"]),
    ("Step", &["grpc"]),
    ("Experiment", &["openslo", "drift", "policies"]),
];

/// Something wrong at a place of the tree.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) place: Place,
    pub(super) path: Path,
    pub(super) problem: String,
    pub(super) mend: String,
    /// The field whose absence is the fault, if that is it.
    pub(super) missing: Option<&'static str>,
}

/// What ends the decoding of a node.
#[derive(Debug)]
pub(super) struct Error {
    problem: String,
    mend: String,
    missing: Option<&'static str>,
    at: Option<Box<(Place, Path)>>,
}

impl Error {
    fn new(problem: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { problem: problem.into(), mend: mend.into(), missing: None, at: None }
    }

    /// Notes where it happened; the innermost place stays.
    fn at(mut self, place: Place, path: &Path) -> Self {
        self.at.get_or_insert_with(|| Box::new((place, path.clone())));
        self
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let (place, path) = *error.at.unwrap_or_default();
        Self { place, path, problem: error.problem, mend: error.mend, missing: error.missing }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.problem, self.mend)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    /// Takes over a message of the form `problem; mend`, as the units and templates write it.
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        let (problem, mend) = message.split_once("; ").unwrap_or((&message, ""));
        Self::new(problem, mend)
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("expected {expected}, found {}", in_words(found)), "")
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("{} is out of range", in_words(found)), format!("write {expected}"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("unknown value `{variant}`"), nearest(variant, expected.iter().copied()))
    }

    fn missing_field(field: &'static str) -> Self {
        Self { missing: Some(field), ..Self::new(format!("`{field}` is missing"), "add it") }
    }
}

fn in_words(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        Unexpected::Map => "a map".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Str(text) => format!("the text `{}`", text.chars().take(40).collect::<String>()),
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(number) => format!("`{number}`"),
        Unexpected::Signed(number) => format!("`{number}`"),
        Unexpected::Float(number) => format!("`{number}`"),
        other => other.to_string(),
    }
}

/// Decodes `node`; unknown fields go to `unknown`.
pub(super) fn decode<'de, T: de::Deserialize<'de>>(
    node: &'de Node,
    text: &'de str,
    unknown: &'de RefCell<Vec<Fault>>,
) -> Result<T, Box<Fault>> {
    T::deserialize(Decoder { node, path: Path::default(), text, unknown })
        .map_err(|error| Box::new(error.into()))
}

#[derive(Clone)]
struct Decoder<'de> {
    node: &'de Node,
    path: Path,
    text: &'de str,
    unknown: &'de RefCell<Vec<Fault>>,
}

impl<'de> Decoder<'de> {
    fn child(&self, node: &'de Node, path: Path) -> Self {
        Self { node, path, text: self.text, unknown: self.unknown }
    }

    /// Decodes a child; also an error that arises only when its parts are put together gets its place.
    fn decode_child<S: DeserializeSeed<'de>>(
        &self,
        node: &'de Node,
        path: &Path,
        seed: S,
    ) -> Result<S::Value, Error> {
        let decoded = seed.deserialize(self.child(node, path.clone()));
        decoded.map_err(|error| error.at(node.place, path))
    }

    fn unexpected(&self) -> Unexpected<'de> {
        match &self.node.value {
            Value::Null | Value::Removed => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Unsigned(number) => Unexpected::Unsigned(*number),
            Value::Signed(number) => Unexpected::Signed(*number),
            Value::Float(number) => Unexpected::Float(*number),
            Value::Text(text) => Unexpected::Str(text),
            Value::List(_) => Unexpected::Seq,
            Value::Map(_) => Unexpected::Map,
        }
    }

    fn wrong_type<T>(&self, expected: &dyn Expected) -> Result<T, Error> {
        Err(de::Error::invalid_type(self.unexpected(), expected))
    }

    /// Runs `visit` and puts this node's place on an error that has none.
    fn placed<T>(self, visit: impl FnOnce(&Self) -> Result<T, Error>) -> Result<T, Error> {
        visit(&self).map_err(|error| error.at(self.node.place, &self.path))
    }

    fn visit_list<V: Visitor<'de>>(&self, items: &'de [Node], visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Items { decoder: self, items: items.iter().enumerate() })
    }

    fn visit_entries<V: Visitor<'de>>(
        &self,
        entries: Vec<&'de Entry>,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_map(Entries { decoder: self, entries: entries.into_iter(), current: None })
    }

    fn note_unknown(&self, owner: &str, entry: &Entry, known: &[&str]) {
        let key = entry.key.as_str();
        let (problem, mend) = if is_designed(owner, key) {
            (format!("`{key}` is designed but not built yet"), "leave it out".to_owned())
        } else {
            ("unknown field".to_owned(), nearest(key, known.iter().copied()))
        };
        let path = self.path.field(key);
        self.unknown.borrow_mut().push(Fault { place: entry.key_place, path, problem, mend, missing: None });
    }
}

fn is_designed(owner: &str, key: &str) -> bool {
    let plain: String = key.chars().filter(char::is_ascii_alphanumeric).collect();
    let plain = plain.to_ascii_lowercase();
    DESIGNED.iter().any(|(name, keys)| *name == owner && keys.contains(&plain.as_str()))
}

impl<'de> Deserializer<'de> for Decoder<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.placed(|this| match &this.node.value {
            Value::Null | Value::Removed => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Unsigned(number) => visitor.visit_u64(*number),
            Value::Signed(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Text(text) => visitor.visit_str(text),
            Value::List(items) => this.visit_list(items, visitor),
            Value::Map(entries) => this.visit_entries(entries.iter().collect(), visitor),
        })
    }

    /// Takes a bare number or boolean as the text that was written, so that `8080` needs no quotes.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.placed(|this| match (&this.node.value, this.node.place.source(this.text)) {
            (Value::Text(text), _) => visitor.visit_str(text),
            (Value::Bool(_) | Value::Unsigned(_) | Value::Signed(_) | Value::Float(_), Some(source)) => {
                visitor.visit_str(source)
            }
            _ => this.wrong_type(&visitor),
        })
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node.value {
            Value::Null | Value::Removed => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.placed(|this| {
            let Value::Map(entries) = &this.node.value else {
                let expected = format!("a map with {}", listed(fields));
                return this.wrong_type(&expected.as_str());
            };
            let (known, unknown): (Vec<&Entry>, Vec<&Entry>) =
                entries.iter().partition(|entry| fields.contains(&entry.key.as_str()));
            unknown.into_iter().for_each(|entry| this.note_unknown(name, entry, fields));
            this.visit_entries(known, visitor)
        })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.placed(|this| match &this.node.value {
            Value::Map(entries) => this.visit_entries(entries.iter().collect(), visitor),
            _ => this.wrong_type(&visitor),
        })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.placed(|this| match &this.node.value {
            Value::List(items) => this.visit_list(items, visitor),
            _ => this.wrong_type(&"a list"),
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.placed(|this| match &this.node.value {
            Value::Text(variant) => visitor.visit_enum(StrDeserializer::<Error>::new(variant)),
            Value::Map(entries) => match entries.as_slice() {
                [entry] if variants.contains(&entry.key.as_str()) => {
                    visitor.visit_enum(Variant { decoder: this, entry })
                }
                [entry] if is_designed(name, &entry.key) => {
                    let problem = format!("`{}` is designed but not built yet", entry.key);
                    Err(Error::new(problem, "leave it out").at(entry.key_place, &this.path))
                }
                [entry] => Err(de::Error::unknown_variant(&entry.key, variants))
                    .map_err(|error: Error| error.at(entry.key_place, &this.path)),
                _ => this.wrong_type(&format!("exactly one of {}", listed(variants)).as_str()),
            },
            _ => this.wrong_type(&format!("one of {}", listed(variants)).as_str()),
        })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
        identifier ignored_any
    }
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() {
        return "nothing in it: `{}`".to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

struct Items<'d, 'de> {
    decoder: &'d Decoder<'de>,
    items: std::iter::Enumerate<std::slice::Iter<'de, Node>>,
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some((index, node)) = self.items.find(|(_, node)| !matches!(node.value, Value::Removed)) else {
            return Ok(None);
        };
        let path = self.decoder.path.index(index);
        self.decoder.decode_child(node, &path, seed).map(Some)
    }
}

struct Entries<'d, 'de> {
    decoder: &'d Decoder<'de>,
    entries: std::vec::IntoIter<&'de Entry>,
    current: Option<&'de Entry>,
}

impl<'de> MapAccess<'de> for Entries<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.current = self.entries.find(|entry| !matches!(entry.node.value, Value::Removed));
        let key = self.current.map(|entry| entry.key.as_str().into_deserializer());
        key.map(|key: StrDeserializer<'de, Error>| seed.deserialize(key)).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let entry = self.current.take().expect("serde asks for a value only after its key");
        let path = self.decoder.path.field(&entry.key);
        self.decoder.decode_child(&entry.node, &path, seed)
    }
}

struct Variant<'d, 'de> {
    decoder: &'d Decoder<'de>,
    entry: &'de Entry,
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Error;
    type Variant = Decoder<'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Decoder<'de>), Error> {
        let key: StrDeserializer<'de, Error> = self.entry.key.as_str().into_deserializer();
        let path = self.decoder.path.field(&self.entry.key);
        Ok((seed.deserialize(key)?, self.decoder.child(&self.entry.node, path)))
    }
}

impl<'de> VariantAccess<'de> for Decoder<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        self.placed(|this| this.wrong_type(&"a word without a value"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_struct("", fields, visitor)
    }
}
