//! How quantities of `base` look in the JSON Schema: `base` itself knows nothing of schemas.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

macro_rules! text_schema {
    ($name:ident, $description:literal, $pattern:literal, $example:literal) => {
        pub(super) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "description": $description,
                    "pattern": $pattern,
                    "examples": [$example],
                })
            }
        }
    };
}

text_schema!(
    Duration,
    "A duration with units ns, us, ms, s, m, h or d.",
    r"^([0-9]+(\.[0-9]+)?(ns|us|µs|μs|ms|s|m|min|h|d))+$",
    "1.5s"
);
text_schema!(Rate, "How often per second, minute or hour.", r"^[0-9]+(\.[0-9]+)?/(s|m|min|h)$", "200/s");
text_schema!(Percentage, "A share from 0% to 100%.", r"^[0-9]+(\.[0-9]+)?%$", "99.9%");
text_schema!(
    TemplateText,
    "Text in which `${NAME}` stands for a value.",
    r"^[\s\S]*$",
    "${orders.url}/orders"
);
text_schema!(
    JsonPathText,
    "A place in a JSON value: `$`, `.name`, `['name']`, `[0]`, `[*]`.",
    r"^\$.*$",
    "$.events[*].id"
);

/// Gives `$name` the schema of `$fields`, the type as which a document writes it.
macro_rules! written_as {
    ($name:ty, $fields:ty) => {
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                <$fields>::schema_name()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                <$fields>::json_schema(generator)
            }
        }
    };
}
pub(super) use written_as;
