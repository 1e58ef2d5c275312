use serde::{Deserialize, Serialize};
use serde_json::Value;
use steadfast_core::Event;

/// The values of a row by column.
///
/// NULL is `null`; integers, floating-point numbers and booleans are JSON's; what JSON cannot hold is told apart: a
/// blob is `{"hex": "00ff"}`, and an infinity or a not-a-number a string such as `"Infinity"`. PostgreSQL's `json` and
/// `jsonb` are the document itself; all other types of PostgreSQL, also `numeric`, are strings as it prints them.
pub type Row = serde_json::Map<String, Value>;

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Operation {
    /// It was inserted.
    Insert,
    /// It was updated and kept its key.
    Update,
    /// It was deleted.
    Delete,
    /// All rows of the table were removed at once; there is no key and no row.
    Truncate,
}

impl Operation {
    /// Returns the last part of the event's type, such as `row.updated`.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Insert => "row.inserted",
            Self::Update => "row.updated",
            Self::Delete => "row.deleted",
            Self::Truncate => "table.truncated",
        }
    }
}

/// One change of one row: the data of an event of a database source.
///
/// An update that changes a row's key is two changes, a deletion of the old key and an insertion of the new one, so
/// that each key tells its own story.
///
/// # Examples
/// ```
/// use steadfast_backends::change::{Change, Operation};
///
/// let json = r#"{"table":"orders","operation":"update","key":{"id":7},
///                "before":{"id":7,"state":"new"},"after":{"id":7,"state":"paid"}}"#;
/// let change: Change = serde_json::from_str(json)?;
/// assert_eq!(change.operation, Operation::Update);
/// assert_eq!(change.after.expect("it was not deleted")["state"], "paid");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Change {
    /// The table; PostgreSQL's with its schema, such as `public.orders`.
    pub table: String,
    /// What happened.
    pub operation: Operation,
    /// The key's columns: the primary key, else what identifies the row; an index that was made PostgreSQL's replica
    /// identity comes before the primary key. Empty where nothing does.
    pub key: Row,
    /// The row as it was, as far as the database tells: PostgreSQL tells all of it only under `REPLICA IDENTITY FULL`,
    /// else the key of what was deleted, and nothing of an update.
    #[serde(default)]
    pub before: Option<Row>,
    /// The row as it is now.
    #[serde(default)]
    pub after: Option<Row>,
    /// Columns that are missing in `after` because PostgreSQL does not send a large value that was not changed and
    /// that `before` does not tell either.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unchanged: Vec<String>,
}

impl Change {
    #[cfg(feature = "postgres")]
    pub(crate) fn new(table: String, operation: Operation) -> Self {
        Self { table, operation, key: Row::new(), before: None, after: None, unchanged: Vec::new() }
    }

    /// Reads the change that `event` tells.
    ///
    /// # Errors
    /// The event's data is not a change.
    pub fn of(event: &Event) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(event.data())
    }
}

/// Names a row: the table, and after a slash the key's values, separated by commas; `%`, `/` and `,` within them are
/// percent-encoded.
pub(crate) fn subject<'a>(table: &str, key: impl IntoIterator<Item = &'a Value>) -> String {
    let mut subject = String::new();
    escape(table, &mut subject);
    for (index, value) in key.into_iter().enumerate() {
        subject.push(if index == 0 { '/' } else { ',' });
        match value {
            Value::String(text) => escape(text, &mut subject),
            other => escape(&other.to_string(), &mut subject),
        }
    }
    subject
}

fn escape(text: &str, into: &mut String) {
    for character in text.chars() {
        match character {
            '%' => into.push_str("%25"),
            '/' => into.push_str("%2F"),
            ',' => into.push_str("%2C"),
            other => into.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_subject_names_the_row() {
        assert_eq!(subject("orders", []), "orders");
        assert_eq!(subject("public.orders", [&json!(7)]), "public.orders/7");
        assert_eq!(subject("a/b", [&json!("x,y"), &json!(null)]), "a%2Fb/x%2Cy,null");
        assert_ne!(subject("t", [&json!("a"), &json!("b")]), subject("t", [&json!("a,b")]));
    }
}
