use rusqlite::Connection;

/// A watched table as the database describes it.
pub(super) struct Table {
    name: String,
    columns: Vec<String>,
    /// What identifies a row: its name in the change, and the expression's last part.
    key: Vec<(String, String)>,
}

/// The events that triggers stand on.
const EVENTS: [&str; 3] = ["insert", "update", "delete"];

impl Table {
    /// Reads the table's description; `None` if there is no such table.
    pub(super) fn read(connection: &Connection, name: &str) -> rusqlite::Result<Option<Self>> {
        let mut columns = Vec::new();
        let mut key: Vec<(u32, String)> = Vec::new();
        // Hidden columns of virtual tables are left out, generated ones are not.
        let sql = "SELECT name, pk FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid";
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([name])?;
        while let Some(row) = rows.next()? {
            let (column, part): (String, u32) = (row.get(0)?, row.get(1)?);
            if part > 0 {
                key.push((part, column.clone()));
            }
            columns.push(column);
        }
        if columns.is_empty() {
            return Ok(None);
        }
        key.sort_unstable();
        let mut key: Vec<(String, String)> =
            key.into_iter().map(|(_, column)| (column.clone(), identifier(&column))).collect();
        if key.is_empty() {
            // Without a primary key a row is known by its number, under whichever of its names no column has taken.
            let taken = |alias: &str| columns.iter().any(|column| column.eq_ignore_ascii_case(alias));
            if let Some(alias) = ["rowid", "_rowid_", "oid"].into_iter().find(|alias| !taken(alias)) {
                key.push((alias.to_owned(), alias.to_owned()));
            }
        }
        Ok(Some(Self { name: name.to_owned(), columns, key }))
    }

    /// Returns the names and texts of the triggers that this table needs.
    pub(super) fn triggers(&self) -> Vec<(String, String)> {
        EVENTS.iter().map(|event| (trigger_name(event, &self.name), self.trigger(event))).collect()
    }

    fn trigger(&self, event: &str) -> String {
        let body = match event {
            "insert" => self.record("insert", "NEW", None, Some("NEW"), None),
            "delete" => self.record("delete", "OLD", Some("OLD"), None, None),
            _ => {
                let (old, new) = (self.key_json("OLD"), self.key_json("NEW"));
                let (same, other) = (format!("{old} = {new}"), format!("{old} <> {new}"));
                [
                    self.record("update", "NEW", Some("OLD"), Some("NEW"), Some(&same)),
                    self.record("delete", "OLD", Some("OLD"), None, Some(&other)),
                    self.record("insert", "NEW", None, Some("NEW"), Some(&other)),
                ]
                .concat()
            }
        };
        let (name, table) = (identifier(&trigger_name(event, &self.name)), identifier(&self.name));
        format!("CREATE TRIGGER {name} AFTER {} ON {table} BEGIN {body}END", event.to_uppercase())
    }

    fn record(
        &self,
        operation: &str,
        keyed_by: &str,
        before: Option<&str>,
        after: Option<&str>,
        condition: Option<&str>,
    ) -> String {
        let row = |row: Option<&str>| row.map_or("NULL".to_owned(), |row| self.row_json(row));
        format!(
            "INSERT INTO steadfast_changes (at, tbl, operation, row_key, before, after) SELECT \
             CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), {}, '{operation}', {}, {}, {}{}; ",
            literal(&self.name),
            self.key_json(keyed_by),
            row(before),
            row(after),
            condition.map(|condition| format!(" WHERE {condition}")).unwrap_or_default(),
        )
    }

    fn key_json(&self, row: &str) -> String {
        object(self.key.iter().map(|(name, expression)| (name.as_str(), format!("{row}.{expression}"))))
    }

    fn row_json(&self, row: &str) -> String {
        object(self.columns.iter().map(|name| (name.as_str(), format!("{row}.{}", identifier(name)))))
    }
}

pub(super) fn trigger_name(event: &str, table: &str) -> String {
    format!("steadfast_{event}_{table}")
}

pub(super) fn trigger_names(table: &str) -> impl Iterator<Item = String> {
    EVENTS.map(|event| trigger_name(event, table)).into_iter()
}

/// Returns an expression whose value is a JSON object.
fn object<'a>(members: impl Iterator<Item = (&'a str, String)>) -> String {
    let mut parts = Vec::new();
    for (index, (name, value)) in members.enumerate() {
        let comma = if index == 0 { "{" } else { "," };
        let name = serde_json::Value::from(name).to_string();
        parts.push(literal(&format!("{comma}{name}:")));
        parts.push(json(&value));
    }
    parts.push(literal(if parts.is_empty() { "{}" } else { "}" }));
    concatenation(&parts)
}

/// Joins expressions as a balanced tree: SQLite limits how deep an expression may be.
fn concatenation(parts: &[String]) -> String {
    match parts {
        [one] => one.clone(),
        _ => {
            let (left, right) = parts.split_at(parts.len() / 2);
            format!("({} || {})", concatenation(left), concatenation(right))
        }
    }
}

/// Returns an expression whose value is `value` as JSON; with 17 digits a floating-point number keeps each bit.
fn json(value: &str) -> String {
    format!(
        "CASE typeof({value}) WHEN 'null' THEN 'null' WHEN 'integer' THEN CAST({value} AS TEXT) WHEN 'real' THEN \
         CASE WHEN {value} > 1.7976931348623157e308 THEN '\"Infinity\"' WHEN {value} < -1.7976931348623157e308 THEN \
         '\"-Infinity\"' ELSE printf('%!.17g', {value}) END WHEN 'blob' THEN '{{\"hex\":\"' || lower(hex({value})) || \
         '\"}}' ELSE json_quote({value}) END"
    )
}

/// Quotes an identifier.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a text.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
