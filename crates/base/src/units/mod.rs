//! Durations, sizes, rates and percentages as people write them, each with its unit.
//!
//! A bare number is refused: whether `5` is seconds or milliseconds must not be a guess. Every error says at
//! which byte of the text it stands and what to write instead; whoever parses a document adds line and column.

mod duration;
mod error;
mod percentage;
mod rate;
mod scan;
mod size;

pub use duration::HumanDuration;
pub use duration::format_duration;
pub use duration::parse_duration;
pub use error::UnitError;
pub use percentage::Percentage;
pub use rate::Rate;
pub use size::Size;

/// Implements `Display` by way of `fmt`, and serde by way of `FromStr` and `Display`.
macro_rules! serde_as_text {
    ($name:ty, $expecting:literal) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($expecting)
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}
pub(crate) use serde_as_text;
