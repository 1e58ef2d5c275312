use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A text with places to fill in, read once and filled for each command.
///
/// `${uuid}` is the command's idempotency key, the same in all its attempts; `${seq}` the number of the arrival,
/// from 0; any other `${NAME}` a value captured by an earlier step or one of the [`Targets`](crate::Targets).
/// `$${` stands for `${` itself; every other `$` is an ordinary character.
///
/// # Examples
/// ```
/// use steadfast_load::Template;
///
/// let url: Template = "${orders.url}/orders/${id}".parse()?;
/// assert_eq!(url.names().collect::<Vec<_>>(), ["orders.url", "id"]);
/// assert_eq!("${id".parse::<Template>().unwrap_err().offset, 0);
/// # Ok::<(), steadfast_load::TemplateError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template {
    parts: Vec<Part>,
}

/// One piece of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Text(String),
    Uuid,
    Sequence,
    Name(Arc<str>),
}

/// A template that cannot be read. Repeating cannot help; the text must be mended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template at byte {offset}: {problem}; write ${{NAME}}, or $${{ for the characters themselves")]
pub struct TemplateError {
    /// The byte of the text at which the faulty place starts.
    pub offset: usize,
    /// What is wrong there.
    pub problem: String,
}

impl Template {
    /// Returns the names that must be filled in from captured values or targets, in order of appearance.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Name(name) => Some(&**name),
            _ => None,
        })
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut offset = 0;
        while let Some(found) = text[offset..].find("${") {
            let at = offset + found;
            if text[offset..at].ends_with('$') {
                literal.push_str(&text[offset..at - 1]);
                literal.push_str("${");
                offset = at + 2;
                continue;
            }
            literal.push_str(&text[offset..at]);
            let error = |problem: String| TemplateError { offset: at, problem };
            let length = text[at..].find('}').ok_or_else(|| error("`${` is not closed".to_owned()))?;
            let name = &text[at + 2..at + length];
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
                return Err(error(format!("`{name}` is not a name")));
            }
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(match name {
                "uuid" => Part::Uuid,
                "seq" => Part::Sequence,
                other => Part::Name(other.into()),
            });
            offset = at + length + 1;
        }
        literal.push_str(&text[offset..]);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self { parts })
    }
}

/// Writes the template so that reading gives the same again.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(&text.replace("${", "$${")),
            Part::Uuid => f.write_str("${uuid}"),
            Part::Sequence => f.write_str("${seq}"),
            Part::Name(name) => write!(f, "${{{name}}}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn places_and_text_are_told_apart() {
        let template: Template = "a$b ${uuid}-${seq}$${no}${id}".parse().expect("readable");
        assert_eq!(
            template.parts,
            [
                Part::Text("a$b ".to_owned()),
                Part::Uuid,
                Part::Text("-".to_owned()),
                Part::Sequence,
                Part::Text("${no}".to_owned()),
                Part::Name("id".into()),
            ]
        );
    }

    #[test]
    fn errors_point_at_the_place() {
        for (text, offset) in [("${", 0), ("ab${}", 2), ("${a b}", 0), ("${a}${", 4)] {
            assert_eq!(text.parse::<Template>().expect_err(text).offset, offset, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in r"[$ {}a-z]{0,20}") {
            let _ = text.parse::<Template>();
        }

        #[test]
        fn what_is_written_is_read_back(text in r"([ a-z{}]|\$\{[a-z]{1,3}\}|\$\$\{){0,8}") {
            if let Ok(template) = text.parse::<Template>() {
                prop_assert_eq!(template.to_string().parse(), Ok(template));
            }
        }
    }
}
