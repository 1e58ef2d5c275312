use std::str::FromStr;

use steadfast_core::transport::Error;

use super::{Config, SYSTEM};
use crate::url::Url;

const PORT: u16 = 6379;

impl FromStr for Config {
    type Err = Error;

    /// Reads `redis://USER:PASSWORD@HOST:PORT/DATABASE`, or `rediss://` with TLS and its parameters `authority`,
    /// `certificate` and `key`, which name files. What is left out is as in [`Config::default`]. No error repeats the
    /// URL.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut url = Url::parse(text, SYSTEM, &["redis", "rediss"])?;
        url.host()?;
        let tls = (url.scheme == "rediss").then(|| url.take_tls(["authority", "certificate", "key"]));
        let database = match &*url.path {
            "" => 0,
            number => number.parse().map_err(|_| url.wrong("the database is a number from 0 to 65535"))?,
        };
        let config = Self {
            address: url.addresses(PORT)?.concat(),
            database,
            username: url.user.take(),
            password: url.password.take(),
            tls,
            ..Self::default()
        };
        url.done("`authority`, `certificate` and `key` with rediss://")?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::Secret;

    #[test]
    fn a_url_says_what_a_configuration_says() {
        let config: Config = "rediss://me:hunter2@host/3?authority=/ca.pem".parse().expect("a URL");
        assert_eq!((config.address.as_str(), config.database), ("host:6379", 3));
        assert_eq!(config.username.as_deref(), Some("me"));
        assert_eq!(config.password.as_ref().map(Secret::reveal), Some("hunter2"));
        assert_eq!(config.tls.expect("it is on").authority, Some(PathBuf::from("/ca.pem")));
        let plain: Config = "redis://:hunter2@[::1]:7".parse().expect("a URL");
        assert_eq!((plain.address.as_str(), plain.username, plain.tls), ("[::1]:7", None, None));
        assert_eq!(plain.password.as_ref().map(Secret::reveal), Some("hunter2"));
    }

    #[test]
    fn what_cannot_be_had_is_refused() {
        for wrong in ["redis://:hunter2@a,b", "redis://:hunter2@a/x", "redis://:hunter2@a?key=/k", "http://a"]
        {
            let error = wrong.parse::<Config>().expect_err(wrong).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
