use std::str::FromStr;

use steadfast_base::units::HumanDuration;
use steadfast_core::transport::Error;

use super::Config;
use super::error::SYSTEM;
use crate::url::Url;

const KNOWN: &str = "`sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `application_name` and `connect_timeout`";

impl FromStr for Config {
    type Err = Error;

    /// Reads `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, or `postgresql://`, with libpq's parameters `sslmode`
    /// (`disable`, which is the default, or `verify-full`), `sslrootcert`, `sslcert`, `sslkey`, `application_name` and
    /// `connect_timeout`, such as `5s`. What is left out is as in [`Config::default`]. No error repeats the URL.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut url = Url::parse(text, SYSTEM, &["postgres", "postgresql"])?;
        let defaults = Self::default();
        let (host, port) = url.host()?;
        let files = url.take_tls(["sslrootcert", "sslcert", "sslkey"]);
        let tls = match url.take("sslmode").as_deref() {
            Some("verify-full") => Some(files),
            None | Some("disable") if files == crate::Tls::default() => None,
            None | Some("disable") => return Err(url.wrong("files of TLS go with `sslmode=verify-full`")),
            Some(_) => {
                return Err(
                    url.wrong("`sslmode` is `disable` or `verify-full`, for a server is verified or not")
                );
            }
        };
        let connect_timeout = match url.take("connect_timeout") {
            Some(text) => {
                let wrong = |_| url.wrong("`connect_timeout` is a duration such as `5s`");
                text.parse::<HumanDuration>().map_err(wrong)?
            }
            None => defaults.connect_timeout,
        };
        let config = Self {
            host,
            port: port.unwrap_or(defaults.port),
            user: url.user.take().unwrap_or(defaults.user),
            password: url.password.take(),
            database: Some(std::mem::take(&mut url.path))
                .filter(|path| !path.is_empty())
                .unwrap_or(defaults.database),
            tls,
            application_name: url.take("application_name").unwrap_or(defaults.application_name),
            connect_timeout,
        };
        url.done(KNOWN)?;
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
        assert_eq!("postgres://localhost".parse::<Config>().expect("a URL"), Config::default());
        let text = "postgresql://shop:hunter2@db:5433/orders?sslmode=verify-full&sslrootcert=/ca.pem\
                    &application_name=till&connect_timeout=2s";
        let config: Config = text.parse().expect("a URL");
        assert_eq!((config.host.as_str(), config.port, config.user.as_str()), ("db", 5433, "shop"));
        assert_eq!(config.password.as_ref().map(Secret::reveal), Some("hunter2"));
        assert_eq!((config.database.as_str(), config.application_name.as_str()), ("orders", "till"));
        assert_eq!(config.tls.expect("it is on").authority, Some(PathBuf::from("/ca.pem")));
        assert_eq!(config.connect_timeout.to_string(), "2s");
    }

    #[test]
    fn what_cannot_be_had_is_refused() {
        for wrong in [
            "postgres://a:hunter2@host?sslmode=require",
            "postgres://a:hunter2@host?sslrootcert=/ca.pem",
            "postgres://a:hunter2@host?connect_timeout=soon",
            "postgres://a:hunter2@host?schema=x",
            "postgres://a:hunter2@one,two",
            "mysql://a:hunter2@host",
        ] {
            let error = wrong.parse::<Config>().expect_err(wrong).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
