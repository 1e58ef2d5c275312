use std::path::PathBuf;
use std::str::FromStr;

use steadfast_core::transport::Error;

use super::{Config, SYSTEM, SyncInterval};
use crate::url::Url;

const PORT: u16 = 4222;

impl FromStr for Config {
    type Err = Error;

    /// Reads `nats://USER:PASSWORD@HOST:PORT`, where a user without password is a token and several hosts have commas
    /// between, or `tls://` with the parameters `authority`, `certificate` and `key`, which name files; with both go
    /// `credentials`, a file too, and `sync`, which is `lazy` or `always` as [`SyncInterval`] has it. What is left out is as in [`Config::default`]. No error repeats the URL.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut url = Url::parse(text, SYSTEM, &["nats", "tls"])?;
        if !url.path.is_empty() {
            return Err(url.wrong("there is nothing behind the hosts but parameters"));
        }
        let tls = (url.scheme == "tls").then(|| url.take_tls(["authority", "certificate", "key"]));
        let (username, password) = (url.user.take(), url.password.take());
        let (username, token) = match password {
            Some(_) => (username, None),
            None => (None, username.map(crate::Secret::new)),
        };
        let sync = match url.take("sync").as_deref() {
            None | Some("lazy") => SyncInterval::Lazy,
            Some("always") => SyncInterval::Always,
            Some(_) => return Err(url.wrong("`sync` is `lazy` or `always`, as the server's `sync_interval`")),
        };
        let config = Self {
            address: url.addresses(PORT)?.join(","),
            username,
            password,
            token,
            credentials: url.take("credentials").map(PathBuf::from),
            tls,
            sync,
            ..Self::default()
        };
        url.done("`credentials`, `sync` and, with tls://, `authority`, `certificate` and `key`")?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    #[test]
    fn a_url_says_what_a_configuration_says() {
        let config: Config = "tls://me:hunter2@a,b:1?credentials=/c".parse().expect("a URL");
        assert_eq!((config.address.as_str(), config.username.as_deref()), ("a:4222,b:1", Some("me")));
        assert_eq!(config.password.as_ref().map(Secret::reveal), Some("hunter2"));
        assert_eq!(
            (config.credentials, config.tls),
            (Some(PathBuf::from("/c")), Some(crate::Tls::default()))
        );
        assert_eq!(config.sync, SyncInterval::Lazy);
        let token: Config = "nats://hunter2@a?sync=always".parse().expect("a URL");
        assert_eq!(token.sync, SyncInterval::Always);
        assert_eq!((token.username, token.token.as_ref().map(Secret::reveal)), (None, Some("hunter2")));
    }

    #[test]
    fn what_cannot_be_had_is_refused() {
        for wrong in [
            "nats://hunter2@a/x",
            "nats://hunter2@a?authority=/k",
            "nats://hunter2@a?sync=hunter2",
            "nats://hunter2@a,,b",
            "http://a",
        ] {
            let error = wrong.parse::<Config>().expect_err(wrong).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
