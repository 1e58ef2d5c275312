use serde_json::{Value, json};

use super::pgoutput::Cell;

/// The types that JSON has a word for, by their fixed numbers in `pg_type`.
mod oid {
    pub(super) const BOOL: u32 = 16;
    pub(super) const BYTEA: u32 = 17;
    pub(super) const INT8: u32 = 20;
    pub(super) const INT2: u32 = 21;
    pub(super) const INT4: u32 = 23;
    pub(super) const OID: u32 = 26;
    pub(super) const JSON: u32 = 114;
    pub(super) const FLOAT4: u32 = 700;
    pub(super) const FLOAT8: u32 = 701;
    pub(super) const JSONB: u32 = 3802;
}

/// Turns a value into JSON, as [`Row`](crate::change::Row) says; `None` if it was not sent.
pub(super) fn json_of(type_id: u32, cell: &Cell) -> Option<Value> {
    match cell {
        Cell::Unchanged => None,
        Cell::Null => Some(Value::Null),
        Cell::Binary(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Some(json!({ "hex": hex }))
        }
        Cell::Text(text) => Some(typed(type_id, text).unwrap_or_else(|| text.as_str().into())),
    }
}

/// Reads the text of a type that JSON has a word for.
fn typed(type_id: u32, text: &str) -> Option<Value> {
    match type_id {
        oid::BOOL => match text {
            "t" => Some(true.into()),
            "f" => Some(false.into()),
            _ => None,
        },
        oid::INT2 | oid::INT4 | oid::INT8 | oid::OID => text.parse::<i64>().ok().map(Value::from),
        oid::FLOAT4 | oid::FLOAT8 => {
            let number: f64 = text.parse().ok()?;
            serde_json::Number::from_f64(number).map(Value::Number)
        }
        oid::JSON | oid::JSONB => serde_json::from_str(text).ok(),
        oid::BYTEA => text.strip_prefix("\\x").map(|hex| json!({ "hex": hex })),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_types_of_json_where_it_has_them() {
        let told = |type_id, text: &str| json_of(type_id, &Cell::Text(text.to_owned())).expect("a value");
        assert_eq!(told(oid::BOOL, "t"), json!(true));
        assert_eq!(told(oid::INT8, "9223372036854775807"), json!(i64::MAX));
        assert_eq!(told(oid::FLOAT8, "0.1"), json!(0.1));
        assert_eq!(told(oid::FLOAT8, "-Infinity"), json!("-Infinity"));
        assert_eq!(told(oid::FLOAT4, "NaN"), json!("NaN"));
        assert_eq!(told(oid::JSONB, r#"{"a": [1]}"#), json!({"a": [1]}));
        assert_eq!(told(oid::BYTEA, "\\x00ff"), json!({"hex": "00ff"}));
        // A numeric may have more digits than a number of JSON is read with.
        assert_eq!(told(1700, "1.10"), json!("1.10"));
        assert_eq!(told(25, "true"), json!("true"));
        assert_eq!(json_of(25, &Cell::Null), Some(Value::Null));
        assert_eq!(json_of(25, &Cell::Unchanged), None);
    }
}
