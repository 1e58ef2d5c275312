//! The part of the payload that an order is made of. All is optional here, so that the mapping, which knows the
//! way to a field, can name it. Values are kept as they came, for numbers arrive as numbers and as strings.

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
pub(super) struct Payload {
    #[serde(default)]
    pub(super) currency: Value,
    #[serde(default)]
    pub(super) total_price: Value,
    #[serde(default)]
    pub(super) customer: Option<Customer>,
    #[serde(default)]
    pub(super) line_items: Option<Vec<LineItem>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Customer {
    #[serde(default)]
    pub(super) id: Value,
}

#[derive(Debug, Deserialize)]
pub(super) struct LineItem {
    #[serde(default)]
    pub(super) sku: Value,
    #[serde(default)]
    pub(super) quantity: Value,
    #[serde(default)]
    pub(super) price: Value,
}
