use std::fmt::Display;
use std::str::FromStr;

use serde_json::Value;
use serde_json::error::Category;

use super::payload::{LineItem, Payload};
use crate::orders::domain::{Currency, Details, Invalid, Line, Money, Quantity};

/// How many lines an order may have.
const LINES_MAX: usize = 500;

/// Why a body is not an order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unmappable {
    /// It is not JSON.
    #[error("the body is not JSON: {0}")]
    Syntax(String),
    /// It is JSON of another shape, such as an array where an object must stand.
    #[error("the body has another shape: {0}")]
    Shape(String),
    /// A field that must be there is not, or is null.
    #[error("`{field}` is missing")]
    Missing {
        /// The way to it, such as `line_items[2].sku`.
        field: String,
    },
    /// A field's value is refused.
    #[error("`{field}` is wrong: {problem}")]
    Wrong {
        /// The way to it.
        field: String,
        /// What is wrong.
        problem: String,
    },
}

impl Unmappable {
    /// Returns the way to the field at fault, where one is.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Missing { field } | Self::Wrong { field, .. } => Some(field),
            Self::Syntax(_) | Self::Shape(_) => None,
        }
    }
}

/// Maps the payload of Shopify's topic `orders/create` to an order.
///
/// # Errors
/// [`Unmappable`], naming the first field at fault.
///
/// # Examples
/// ```
/// use orders::orders::edge::parse;
///
/// let error = parse(br#"{"currency": "EUR", "total_price": "1.00"}"#).unwrap_err();
/// assert_eq!(error.to_string(), "`customer.id` is missing");
/// ```
pub fn parse(body: &[u8]) -> Result<Details, Unmappable> {
    let payload: Payload = serde_json::from_slice(body).map_err(|error| match error.classify() {
        Category::Data => Unmappable::Shape(error.to_string()),
        _ => Unmappable::Syntax(error.to_string()),
    })?;
    let currency: Currency = text(&payload.currency, "currency")?;
    let total = money(&payload.total_price, currency, "total_price")?;
    let customer =
        text(payload.customer.as_ref().map_or(&Value::Null, |customer| &customer.id), "customer.id")?;
    let items = payload.line_items.ok_or_else(|| missing("line_items"))?;
    if items.is_empty() || items.len() > LINES_MAX {
        return Err(wrong("line_items", format!("it must have 1 to {LINES_MAX} members")));
    }
    let lines =
        items.iter().enumerate().map(|(n, item)| line(n, item, currency)).collect::<Result<_, _>>()?;
    Ok(Details { customer, lines, total })
}

fn line(n: usize, item: &LineItem, currency: Currency) -> Result<Line, Unmappable> {
    let path = |name: &str| format!("line_items[{n}].{name}");
    Ok(Line {
        sku: text(&item.sku, &path("sku"))?,
        quantity: quantity(&item.quantity, &path("quantity"))?,
        unit_price: money(&item.price, currency, &path("price"))?,
    })
}

/// Reads a value that has its own text form; identities arrive as strings or as whole numbers.
fn text<T: FromStr<Err = Invalid>>(value: &Value, field: &str) -> Result<T, Unmappable> {
    match value {
        Value::Null => Err(missing(field)),
        Value::String(text) => text.parse().map_err(|error: Invalid| wrong(field, error.problem)),
        Value::Number(number) if number.is_u64() => {
            number.to_string().parse().map_err(|error: Invalid| wrong(field, error.problem))
        }
        _ => Err(wrong(field, "it must be a string or a whole number")),
    }
}

/// Reads an amount; a JSON number is refused, for it may have lost digits on its way.
fn money(value: &Value, currency: Currency, field: &str) -> Result<Money, Unmappable> {
    match value {
        Value::Null => Err(missing(field)),
        Value::String(text) => Money::parse(text, currency).map_err(|error| wrong(field, error.problem)),
        _ => Err(wrong(field, "it must be a string such as \"404.95\"")),
    }
}

fn quantity(value: &Value, field: &str) -> Result<Quantity, Unmappable> {
    match value {
        Value::Null => Err(missing(field)),
        value => {
            let count = value.as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
            Quantity::try_from(count).map_err(|error| wrong(field, error.problem))
        }
    }
}

fn missing(field: &str) -> Unmappable {
    Unmappable::Missing { field: field.to_owned() }
}

fn wrong(field: &str, problem: impl Display) -> Unmappable {
    Unmappable::Wrong { field: field.to_owned(), problem: problem.to_string() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const FIXTURE: &str = include_str!("../../../fixtures/orders-create.json");

    fn fixture() -> Value {
        serde_json::from_str(FIXTURE).expect("the fixture is JSON")
    }

    #[test]
    fn maps_the_real_payload() {
        let details = parse(FIXTURE.as_bytes()).expect("the fixture is an order");
        assert_eq!(details.customer.as_str(), "115310627314723950");
        assert_eq!(details.total.to_string(), "404.95 USD");
        let lines: Vec<_> = details
            .lines
            .iter()
            .map(|line| (line.sku.as_str(), line.quantity.get(), line.unit_price.amount_minor()))
            .collect();
        let expected = [
            ("SKU2006-001", 1, 8_999),
            ("LENS-PROTECT-2YR", 1, 1_999),
            ("CASE-LEATHER-PREM", 1, 2_499),
            ("SKU2006-020", 1, 15_999),
            ("SKU2006-035", 1, 11_999),
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn names_each_missing_field() {
        for (pointer, field) in [
            ("/currency", "currency"),
            ("/total_price", "total_price"),
            ("/customer", "customer.id"),
            ("/customer/id", "customer.id"),
            ("/line_items", "line_items"),
            ("/line_items/3/sku", "line_items[3].sku"),
            ("/line_items/0/quantity", "line_items[0].quantity"),
            ("/line_items/4/price", "line_items[4].price"),
        ] {
            let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
            let mut removed = fixture();
            removed.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object").remove(name);
            let mut nulled = fixture();
            *nulled.pointer_mut(pointer).expect("the field") = Value::Null;
            for payload in [removed, nulled] {
                let error = parse(payload.to_string().as_bytes()).expect_err(field);
                assert_eq!(error, Unmappable::Missing { field: field.to_owned() });
            }
        }
    }

    #[test]
    fn names_each_wrong_field() {
        for (pointer, value, field) in [
            ("/currency", json!("usd"), "currency"),
            ("/total_price", json!(404.95), "total_price"),
            ("/total_price", json!("-1.00"), "total_price"),
            ("/customer/id", json!(""), "customer.id"),
            ("/customer/id", json!(1.5), "customer.id"),
            ("/line_items", json!([]), "line_items"),
            ("/line_items/0/sku", json!({}), "line_items[0].sku"),
            ("/line_items/1/quantity", json!(0), "line_items[1].quantity"),
            ("/line_items/1/quantity", json!("1"), "line_items[1].quantity"),
            ("/line_items/2/price", json!("1.999"), "line_items[2].price"),
        ] {
            let mut payload = fixture();
            *payload.pointer_mut(pointer).expect("the field") = value.clone();
            let error = parse(payload.to_string().as_bytes()).expect_err(field);
            assert!(matches!(error, Unmappable::Wrong { .. }), "{field} {value}: {error}");
            assert_eq!(error.field(), Some(field));
        }
    }

    #[test]
    fn tells_no_json_from_another_shape() {
        assert!(matches!(parse(b"{"), Err(Unmappable::Syntax(_))));
        assert!(matches!(parse(b"\xff\xfe"), Err(Unmappable::Syntax(_))));
        assert!(matches!(
            parse("[".repeat(100_000).as_bytes()),
            Err(Unmappable::Shape(_) | Unmappable::Syntax(_))
        ));
        assert!(matches!(parse(b"[]"), Err(Unmappable::Shape(_) | Unmappable::Missing { .. })));
        assert!(matches!(parse(br#"{"line_items": 1}"#), Err(Unmappable::Shape(_))));
    }

    proptest! {
        #[test]
        fn no_body_panics(body: Vec<u8>) {
            let _ = parse(&body);
        }
    }
}
