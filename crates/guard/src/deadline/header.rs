//! The headers that carry the time that remains: `grpc-timeout`, at most eight digits and a unit
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>), and Envoy's `x-envoy-expected-rq-timeout-ms`.

use std::time::Duration;

use http::HeaderValue;

use super::InvalidTimeout;

const DIGITS_MAX: usize = 8;
const AMOUNT_MAX: u128 = 99_999_999;

/// The units of the specification with their nanoseconds, finest first.
const UNITS: [(u8, u128); 6] = [
    (b'n', 1),
    (b'u', 1_000),
    (b'm', 1_000_000),
    (b'S', 1_000_000_000),
    (b'M', 60_000_000_000),
    (b'H', 3_600_000_000_000),
];

/// Returns the value of the header `grpc-timeout` that says `remaining`, in the finest unit in which it has at most
/// eight digits. It is rounded down, for the callee must not believe in time that the caller does not have.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_guard::grpc_timeout_header;
///
/// assert_eq!(grpc_timeout_header(Duration::from_millis(50)), "50000000n");
/// assert_eq!(grpc_timeout_header(Duration::from_secs(3)), "3000000u");
/// ```
#[must_use]
pub fn grpc_timeout_header(remaining: Duration) -> HeaderValue {
    let nanos = remaining.as_nanos();
    let (unit, amount) = UNITS
        .into_iter()
        .map(|(unit, size)| (unit, nanos / size))
        .find(|&(_, amount)| amount <= AMOUNT_MAX)
        .unwrap_or((b'H', AMOUNT_MAX));
    let text = format!("{amount}{}", char::from(unit));
    HeaderValue::try_from(text).expect("digits and a letter are a valid header value")
}

/// Reads the value of a header `grpc-timeout`.
///
/// # Errors
/// [`InvalidTimeout`] when it is not one to eight digits and one of the units `n u m S M H`.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_guard::parse_grpc_timeout;
///
/// assert_eq!(parse_grpc_timeout(b"250m"), Ok(Duration::from_millis(250)));
/// assert!(parse_grpc_timeout(b"250ms").is_err());
/// ```
pub fn parse_grpc_timeout(value: &[u8]) -> Result<Duration, InvalidTimeout> {
    let (unit, digits) = value.split_last().ok_or(InvalidTimeout)?;
    let (_, size) = UNITS.into_iter().find(|(letter, _)| letter == unit).ok_or(InvalidTimeout)?;
    let nanos = size * u128::from(parse_digits(digits, DIGITS_MAX)?);
    let seconds = nanos / 1_000_000_000;
    let rest = nanos % 1_000_000_000;
    Ok(Duration::new(seconds as u64, rest as u32))
}

/// Returns how much time a request's headers or metadata leave, or nothing if they state none; `get` returns the value
/// of a header.
///
/// Reads `grpc-timeout` and Envoy's `x-envoy-expected-rq-timeout-ms`; where both are sent the shorter counts, and an
/// invalid one is treated as absent.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_guard::deadline::remaining_time;
///
/// let request = http::Request::builder().header("grpc-timeout", "250m").body(()).unwrap();
/// let remaining = remaining_time(|name| request.headers().get(name).map(|value| value.as_bytes()));
/// assert_eq!(remaining, Some(Duration::from_millis(250)));
/// ```
/// Of the metadata of `tonic`: `remaining_time(|name| metadata.get(name).map(|value| value.as_bytes()))`.
pub fn remaining_time<'a>(get: impl Fn(&str) -> Option<&'a [u8]>) -> Option<Duration> {
    type Parse = fn(&[u8]) -> Result<Duration, InvalidTimeout>;
    const HEADERS: [(&str, Parse); 2] =
        [("grpc-timeout", parse_grpc_timeout), ("x-envoy-expected-rq-timeout-ms", parse_envoy_timeout)];
    let stated = |(name, parse): (&str, Parse)| {
        let value = get(name)?;
        let ignored = |_: &InvalidTimeout| {
            let value = String::from_utf8_lossy(value);
            tracing::debug!(name, %value, "timeout header ignored");
        };
        parse(value).inspect_err(ignored).ok()
    };
    HEADERS.into_iter().filter_map(stated).min()
}

/// Reads the value of Envoy's header: milliseconds.
fn parse_envoy_timeout(value: &[u8]) -> Result<Duration, InvalidTimeout> {
    // Fifteen digits are 31,000 years, and fit.
    parse_digits(value, 15).map(Duration::from_millis)
}

fn parse_digits(digits: &[u8], length_max: usize) -> Result<u64, InvalidTimeout> {
    if digits.is_empty() || digits.len() > length_max || !digits.iter().all(u8::is_ascii_digit) {
        return Err(InvalidTimeout);
    }
    Ok(digits.iter().fold(0, |amount, digit| amount * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_every_unit() {
        for (text, expected) in [
            ("0n", Duration::ZERO),
            ("1n", Duration::from_nanos(1)),
            ("2u", Duration::from_micros(2)),
            ("3m", Duration::from_millis(3)),
            ("4S", Duration::from_secs(4)),
            ("5M", Duration::from_secs(300)),
            ("6H", Duration::from_secs(21_600)),
            ("99999999H", Duration::from_secs(99_999_999 * 3600)),
            ("00000001m", Duration::from_millis(1)),
        ] {
            assert_eq!(parse_grpc_timeout(text.as_bytes()), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_what_the_specification_refuses() {
        for bad in ["", "m", "1", "1s", "1 m", "-1m", "+1m", "1.5S", "100000000n", "1mm", "١m"] {
            assert_eq!(parse_grpc_timeout(bad.as_bytes()), Err(InvalidTimeout), "{bad}");
        }
        for bad in ["", "1m", "-1", "1e3", "9999999999999999"] {
            assert_eq!(parse_envoy_timeout(bad.as_bytes()), Err(InvalidTimeout), "{bad}");
        }
    }

    #[test]
    fn the_longest_is_cut() {
        assert_eq!(grpc_timeout_header(Duration::MAX), "99999999H");
        assert_eq!(grpc_timeout_header(Duration::ZERO), "0n");
    }

    proptest! {
        #[test]
        fn what_is_sent_is_read_back_without_gain(seconds in 0..99_999_999_u64 * 3600, nanos in 0..1_000_000_000_u32, shift in 0..64_u32) {
            let sent = Duration::new(seconds >> shift, nanos);
            let header = grpc_timeout_header(sent);
            prop_assert!(header.len() <= DIGITS_MAX + 1);
            let read = parse_grpc_timeout(header.as_bytes());
            let read = read.expect("our own header is valid");
            prop_assert!(read <= sent);
            // The next unit is taken above 99,999,999 of one, so that five significant digits survive at the least.
            prop_assert!(sent - read <= sent / 99_999, "{sent:?} was read as {read:?}");
        }

        #[test]
        fn rubbish_is_an_error_or_a_timeout(bytes: Vec<u8>) {
            let _ = parse_grpc_timeout(&bytes);
            let _ = parse_envoy_timeout(&bytes);
        }
    }
}
