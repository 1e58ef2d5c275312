//! What a callee says about being asked again.

use std::time::{Duration, SystemTime};

/// What a callee says about being asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushback {
    /// Nothing: whoever asks decides.
    Unstated,
    /// To be left alone for this time.
    After(Duration),
    /// Not to be asked again.
    Never,
}

/// Reads what the headers or metadata of an answer say about being asked again; `get` returns the value of a header.
///
/// - `grpc-retry-pushback-ms` ([gRFC A6](https://github.com/grpc/proposal/blob/master/A6-client-retries.md)):
///   milliseconds; what is negative or no number forbids a repetition.
/// - `retry-after` ([RFC 9110, 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)): seconds or a date. The date
///   is compared with that of the header `date`, so that it does not matter what our clock shows; without that header, as
///   with one that cannot be read, it says nothing.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_base::{Pushback, pushback};
///
/// let answer = http::Response::builder().status(503).header("retry-after", "2").body(()).unwrap();
/// let asked = pushback(|name| answer.headers().get(name).map(|value| value.as_bytes()));
/// assert_eq!(asked, Pushback::After(Duration::from_secs(2)));
/// ```
/// Of the metadata of `tonic`: `pushback(|name| status.metadata().get(name).map(|value| value.as_bytes()))`.
pub fn pushback<'a>(get: impl Fn(&str) -> Option<&'a [u8]>) -> Pushback {
    let text = |name| get(name).map(|value| std::str::from_utf8(value).unwrap_or("").trim());
    if let Some(ms) = text("grpc-retry-pushback-ms") {
        return ms.parse().map_or(Pushback::Never, |ms| Pushback::After(Duration::from_millis(ms)));
    }
    let asked = text("retry-after").and_then(|value| match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let (until, now) = (date(value)?, date(text("date")?)?);
            // One that has passed asks for nothing.
            Some(until.duration_since(now).unwrap_or(Duration::ZERO))
        }
    });
    asked.map_or(Pushback::Unstated, Pushback::After)
}

fn date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(headers: &[(&str, &str)]) -> Pushback {
        pushback(|name| headers.iter().find(|(found, _)| *found == name).map(|(_, value)| value.as_bytes()))
    }

    #[test]
    fn of_grpc() {
        let name = "grpc-retry-pushback-ms";
        assert_eq!(read(&[(name, "250")]), Pushback::After(Duration::from_millis(250)));
        assert_eq!(read(&[(name, "0")]), Pushback::After(Duration::ZERO));
        for never in ["-1", "", "soon", "1.5", "99999999999999999999"] {
            assert_eq!(read(&[(name, never)]), Pushback::Never, "{never}");
        }
        assert_eq!(read(&[("retry-after", "9"), (name, "250")]), Pushback::After(Duration::from_millis(250)));
    }

    #[test]
    fn of_http() {
        let date = ("date", "Wed, 21 Oct 2015 07:28:00 GMT");
        assert_eq!(read(&[]), Pushback::Unstated);
        assert_eq!(read(&[("retry-after", "120")]), Pushback::After(Duration::from_secs(120)));
        let later = ("retry-after", "Wed, 21 Oct 2015 07:28:30 GMT");
        assert_eq!(read(&[later, date]), Pushback::After(Duration::from_secs(30)));
        assert_eq!(read(&[later]), Pushback::Unstated, "it is not known what the callee's clock shows");
        let passed = ("retry-after", "Wed, 21 Oct 2015 07:27:00 GMT");
        assert_eq!(read(&[passed, date]), Pushback::After(Duration::ZERO));
        assert_eq!(read(&[("retry-after", "tomorrow"), date]), Pushback::Unstated);
        assert_eq!(read(&[("retry-after", "-5"), date]), Pushback::Unstated);
    }

    proptest! {
        #[test]
        fn no_header_panics(pushed: Vec<u8>, after: Vec<u8>, date: Vec<u8>) {
            for grpc in [None, Some(&pushed[..])] {
                let _ = pushback(|name| match name {
                    "grpc-retry-pushback-ms" => grpc,
                    "retry-after" => Some(&after),
                    _ => Some(&date),
                });
            }
        }
    }
}
