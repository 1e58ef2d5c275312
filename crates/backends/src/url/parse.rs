use steadfast_core::transport::Error;

use super::Url;
use crate::Secret;

pub(super) fn wrong(system: &'static str, problem: impl Into<String>) -> Error {
    Error::Configuration { system, field: "url", problem: problem.into() }
}

pub(super) fn parse(text: &str, system: &'static str, schemes: &[&'static str]) -> Result<Url, Error> {
    let wrong = |problem: &str| wrong(system, problem);
    let form = || {
        let schemes = schemes.join(":// or ");
        wrong(&format!("write {schemes}://USER:PASSWORD@HOST:PORT/…, of which only the host must be there"))
    };
    let (scheme, rest) = text.split_once("://").ok_or_else(form)?;
    let scheme = schemes.iter().find(|known| **known == scheme).ok_or_else(form)?;
    if text.contains('#') {
        return Err(wrong("write `#` as %23"));
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    // A password may hold `@` where somebody has forgotten to encode it; a host cannot.
    let (credentials, hosts) = match authority.rsplit_once('@') {
        Some((credentials, hosts)) => (Some(credentials), hosts),
        None => (None, authority),
    };
    if hosts.is_empty() {
        return Err(form());
    }
    let decoded = |part: &str| {
        decode(part)
            .ok_or_else(|| wrong("after `%` there must be two hexadecimal digits, and they must make UTF-8"))
    };
    let (user, password) = match credentials.map(|both| both.split_once(':').unwrap_or((both, ""))) {
        Some((user, password)) => (Some(decoded(user)?), Some(decoded(password)?)),
        None => (None, None),
    };
    let mut pairs = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(|| wrong("after `?` write NAME=VALUE"))?;
        pairs.push((decoded(name)?, decoded(value)?));
    }
    Ok(Url {
        system,
        scheme,
        user: user.filter(|user| !user.is_empty()),
        password: password.filter(|password| !password.is_empty()).map(Secret::new),
        hosts: hosts.to_owned(),
        path: decoded(path)?,
        query: pairs,
    })
}

/// Splits `HOST:PORT`, where an IPv6 address has brackets.
pub(super) fn host(text: &str) -> Result<(String, Option<u16>), &'static str> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("an IPv6 address ends with `]`")?;
            (host, port.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.contains(',') {
        return Err("there can be one host only");
    }
    if host.is_empty() {
        return Err("the host is missing");
    }
    let port = port.map(str::parse).transpose();
    Ok((host.to_owned(), port.map_err(|_| "the port must be a number from 0 to 65535")?))
}

/// Decodes `%41` to `A`.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}
