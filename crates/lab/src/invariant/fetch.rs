use std::time::Duration;

use serde_json::Value;

use super::Lookup;
use crate::http::Client;
use crate::spec::{JsonPath, Template};

/// Why data could not be read back. Reading again may help, unless the document's mapping is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// No answer came.
    #[error("{0}")]
    NoAnswer(String),
    /// The answer is not a success.
    #[error("GET {url}: status {status}; a reading is only one with 2xx")]
    Status {
        /// What was asked.
        url: String,
        /// The status.
        status: u16,
    },
    /// The answer is not as the document's mapping says.
    #[error("GET {url}: {problem}; compare the answer with the invariant's mapping")]
    Mapping {
        /// What was asked.
        url: String,
        /// What does not fit.
        problem: String,
    },
    /// There is more than is ever read.
    #[error("GET {url}: more than {max} entries; check a smaller load")]
    TooMany {
        /// What was asked last.
        url: String,
        /// The bound.
        max: usize,
    },
    /// Reading took too long.
    #[error("reading took longer than {}", steadfast_base::units::format_duration(*.0))]
    TooSlow(Duration),
}

/// Asks for the URL that `template` gives and reads the answer as JSON.
pub(super) async fn get(
    client: &Client,
    template: &Template,
    lookup: &Lookup<'_>,
    extra: Option<(&str, &str)>,
) -> Result<(String, Value), ReadError> {
    let value = |name: &str| match extra {
        Some((known, value)) if known == name => Some(escaped(value)),
        _ => lookup(name),
    };
    let url = template.resolve(value).map_err(|unknown| ReadError::Mapping {
        url: template.as_str().to_owned(),
        problem: unknown.to_string(),
    })?;
    let answer = client.get(&url).await.map_err(|error| ReadError::NoAnswer(error.to_string()))?;
    if !answer.status.is_success() {
        return Err(ReadError::Status { url, status: answer.status.as_u16() });
    }
    match serde_json::from_slice(&answer.body) {
        Ok(value) => Ok((url, value)),
        Err(error) => Err(ReadError::Mapping { problem: format!("the answer is not JSON: {error}"), url }),
    }
}

/// Returns the text or number at `path`; none where there is none or null.
pub(super) fn scalar(path: &JsonPath, value: &Value) -> Option<String> {
    match path.first(value)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Escapes all that is not unreserved by RFC 3986, so that a value stays one segment or one parameter.
fn escaped(value: &str) -> String {
    value.bytes().fold(String::with_capacity(value.len()), |mut text, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte));
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_in_urls_stay_one_part() {
        assert_eq!(escaped("a/b?c=ü d~1"), "a%2Fb%3Fc%3D%C3%BC%20d~1");
    }
}
