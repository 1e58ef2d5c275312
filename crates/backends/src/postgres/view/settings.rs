use std::time::Duration;

use serde::Deserialize;
use steadfast_base::units::HumanDuration;
use steadfast_core::projection::ViewError;

/// Where a view is in its database.
///
/// # Examples
/// ```
/// use steadfast_backends::postgres::view::Settings;
///
/// let settings: Settings = serde_json::from_str(r#"{"name": "orders"}"#)?;
/// assert_eq!(settings.schema, "public");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Settings {
    /// The projection's name, by which its position is kept. A view that is rebuilt beside another needs tables and a
    /// name of its own.
    pub name: String,
    /// The schema that holds the tables; it is made if it is not there. Letters, digits and `_`.
    pub schema: String,
    /// How long the server may take for one statement, the wait for its turn included.
    pub statement_timeout: HumanDuration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: String::new(),
            schema: "public".to_owned(),
            statement_timeout: HumanDuration(Duration::from_secs(10)),
        }
    }
}

impl Settings {
    pub(super) fn check(&self) -> Result<(), ViewError> {
        if self.name.is_empty() {
            return Err(ViewError::permanent("`name` is empty: name the projection"));
        }
        let schema = &self.schema;
        // It becomes part of statements.
        if schema.is_empty() || !schema.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let reason = format!("`schema` is `{schema}`: use letters, digits and _");
            return Err(ViewError::permanent(reason));
        }
        Ok(())
    }
}
