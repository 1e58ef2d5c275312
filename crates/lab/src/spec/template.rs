//! Text with holes.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text::TemplateText;

/// Text in which each `${NAME}` stands for a value that is known later.
///
/// # Examples
/// ```
/// use steadfast_lab::spec::Template;
///
/// let url: Template = "${orders.url}/orders/${id}".parse()?;
/// assert_eq!(url.variables().collect::<Vec<_>>(), [(0, "orders.url"), (21, "id")]);
///
/// let resolved = url.resolve(|name| match name {
///     "orders.url" => Some("http://127.0.0.1:80".to_owned()),
///     "id" => Some("7".to_owned()),
///     _ => None,
/// })?;
/// assert_eq!(resolved, "http://127.0.0.1:80/orders/7");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Template {
    text: String,
    /// Begin and end of each `${…}` in `text`, in order.
    holes: Vec<(usize, usize)>,
}

/// A text that is not a template. Mend the text; repeating cannot help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}`: {problem} at byte {offset}; write `${{NAME}}` with letters, digits, `.`, `_` or `-`")]
pub struct InvalidTemplate {
    /// The text, shortened.
    pub text: String,
    /// The byte at which the hole stands.
    pub offset: usize,
    /// What is wrong there.
    pub problem: &'static str,
}

/// A variable for which there is no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown variable `${{{name}}}` at byte {offset}")]
pub struct UnknownVariable {
    /// The variable's name.
    pub name: String,
    /// The byte of the template at which it stands.
    pub offset: usize,
}

impl Template {
    /// Returns the text as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Lists the variables with the byte at which their `${` stands, in order, repetitions included.
    pub fn variables(&self) -> impl Iterator<Item = (usize, &str)> {
        self.holes.iter().map(|&(from, to)| (from, &self.text[from + 2..to - 1]))
    }

    /// Puts the value that `lookup` knows in the place of each variable.
    ///
    /// # Errors
    /// [`UnknownVariable`] for the first variable of which `lookup` knows nothing.
    pub fn resolve(&self, mut lookup: impl FnMut(&str) -> Option<String>) -> Result<String, UnknownVariable> {
        let (mut resolved, mut copied) = (String::with_capacity(self.text.len()), 0);
        for &(from, to) in &self.holes {
            let name = &self.text[from + 2..to - 1];
            let value =
                lookup(name).ok_or_else(|| UnknownVariable { name: name.to_owned(), offset: from })?;
            resolved.push_str(&self.text[copied..from]);
            resolved.push_str(&value);
            copied = to;
        }
        resolved.push_str(&self.text[copied..]);
        Ok(resolved)
    }
}

impl FromStr for Template {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut holes = Vec::new();
        let mut at = 0;
        while let Some(found) = text[at..].find("${") {
            let from = at + found;
            let invalid = |problem| InvalidTemplate {
                text: text[from..].chars().take(24).collect(),
                offset: from,
                problem,
            };
            let length = text[from..].find('}').ok_or_else(|| invalid("`${` is not closed"))?;
            let name = &text[from + 2..from + length];
            if name.is_empty() {
                return Err(invalid("`${}` has no name"));
            }
            if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')) {
                return Err(invalid("the name between `${` and `}` is not one"));
            }
            at = from + length + 1;
            holes.push((from, at));
        }
        Ok(Self { text: text.to_owned(), holes })
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Template {
    fn schema_name() -> Cow<'static, str> {
        TemplateText::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        TemplateText::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn holes_that_are_none_are_errors_with_their_place() {
        for (text, offset) in [("a${", 1), ("${}", 0), ("ü${a b}", 2), ("${a}${b", 4), ("${${a}}", 0)] {
            assert_eq!(text.parse::<Template>().expect_err(text).offset, offset, "{text}");
        }
    }

    #[test]
    fn what_is_no_hole_stays() {
        let template: Template = "$ {a} } $$ daemon off;".parse().expect("has no hole");
        assert_eq!(template.resolve(|_| None).as_deref(), Ok("$ {a} } $$ daemon off;"));
    }

    #[test]
    fn a_missing_value_is_named() {
        let template: Template = "x${a}${b}".parse().expect("is well-formed");
        let error = template.resolve(|name| (name == "a").then(String::new)).expect_err("b is unknown");
        assert_eq!(error, UnknownVariable { name: "b".to_owned(), offset: 5 });
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[${}a.ü ]{0,20}") {
            if let Ok(template) = text.parse::<Template>() {
                let same = template.resolve(|name| Some(format!("${{{name}}}")));
                prop_assert_eq!(same, Ok(text));
            }
        }
    }
}
