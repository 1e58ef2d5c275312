use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
#[cfg(feature = "nats")]
use steadfast::backends::nats;
#[cfg(feature = "postgres")]
use steadfast::backends::postgres;
#[cfg(feature = "redis")]
use steadfast::backends::redis;

/// Where a program keeps its events.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// A file log in a folder.
    File(PathBuf),
    /// A SQLite database in a file.
    #[cfg(feature = "sqlite")]
    Sqlite(PathBuf),
    /// A PostgreSQL database, in which each program has a schema of its name.
    #[cfg(feature = "postgres")]
    Postgres(Box<postgres::Config>),
    /// A Redis server, on which the keys of each program begin with its name.
    #[cfg(feature = "redis")]
    Redis(Box<redis::Config>),
    /// NATS JetStream, in which each program has a stream of its name.
    #[cfg(feature = "nats")]
    Nats(Box<nats::Config>),
}

/// What a URL may begin with, and the feature that brings it; none is always there.
const SCHEMES: [(&str, Option<(&str, bool)>); 8] = [
    ("file", None),
    ("sqlite", Some(("sqlite", cfg!(feature = "sqlite")))),
    ("postgres", Some(("postgres", cfg!(feature = "postgres")))),
    ("postgresql", Some(("postgres", cfg!(feature = "postgres")))),
    ("redis", Some(("redis", cfg!(feature = "redis")))),
    ("rediss", Some(("redis", cfg!(feature = "redis")))),
    ("nats", Some(("nats", cfg!(feature = "nats")))),
    ("tls", Some(("nats", cfg!(feature = "nats")))),
];

/// Why a text does not name a place. No message repeats the text, for it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAPlace {
    /// It begins with nothing that is known.
    #[error(
        "write file:FOLDER, sqlite:FILE, postgres://USER:PASSWORD@HOST:PORT/DATABASE, \
         redis://USER:PASSWORD@HOST:PORT/DATABASE or nats://HOST:PORT"
    )]
    Unknown,
    /// What it asks for was left out when the program was built.
    #[error("this program was built without {feature}; build it with `--features {feature}`")]
    NotBuilt {
        /// The feature that brings it.
        feature: &'static str,
    },
    /// The rest is wrong.
    #[error("{problem}")]
    Wrong {
        /// What is wrong, and how to mend it.
        problem: String,
    },
}

impl FromStr for Place {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, NotAPlace> {
        let (scheme, rest) = text.split_once(':').ok_or(NotAPlace::Unknown)?;
        let known = SCHEMES.iter().find(|(known, _)| *known == scheme).ok_or(NotAPlace::Unknown)?;
        if let (_, Some((feature, false))) = known {
            return Err(NotAPlace::NotBuilt { feature });
        }
        match scheme {
            "file" => path(rest).map(Self::File),
            #[cfg(feature = "sqlite")]
            "sqlite" => path(rest).map(Self::Sqlite),
            #[cfg(feature = "postgres")]
            "postgres" | "postgresql" => text.parse().map(Box::new).map(Self::Postgres).map_err(wrong),
            #[cfg(feature = "redis")]
            "redis" | "rediss" => text.parse().map(Box::new).map(Self::Redis).map_err(wrong),
            #[cfg(feature = "nats")]
            "nats" | "tls" => text.parse().map(Box::new).map(Self::Nats).map_err(wrong),
            _ => Err(NotAPlace::Unknown),
        }
    }
}

/// Reads what follows `file:` or `sqlite:`; of a URL's form, `///` alone means a path.
fn path(text: &str) -> Result<PathBuf, NotAPlace> {
    match text.strip_prefix("//") {
        None if text.is_empty() => Err(wrong("a path must follow, such as file:/var/lib/orders")),
        Some(host) if !host.starts_with('/') => Err(wrong(
            "a path must follow, with one `/` or three: file:/var/lib/orders, file:///var/lib/orders",
        )),
        None => Ok(text.into()),
        Some(path) => Ok(path.into()),
    }
}

fn wrong(problem: impl fmt::Display) -> NotAPlace {
    NotAPlace::Wrong { problem: problem.to_string() }
}

/// The place as it may be shown: without credentials.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(folder) => write!(f, "file:{}", folder.display()),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(file) => write!(f, "sqlite:{}", file.display()),
            #[cfg(feature = "postgres")]
            Self::Postgres(config) => {
                write!(f, "postgres://{}:{}/{}", config.host, config.port, config.database)
            }
            #[cfg(feature = "redis")]
            Self::Redis(config) => write!(f, "redis://{}/{}", config.address, config.database),
            #[cfg(feature = "nats")]
            Self::Nats(config) => write!(f, "nats://{}", config.address),
        }
    }
}

/// Reads a place from the command line. The parsers of `clap` show the value that they refuse; this one must not.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlaceParser;

impl TypedValueParser for PlaceParser {
    type Value = Place;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Place, clap::Error> {
        let place = value.to_str().ok_or_else(|| wrong("it is not UTF-8")).and_then(str::parse);
        place.map_err(|error| {
            let argument = argument.map(clap::Arg::to_string).unwrap_or_default();
            clap::Error::raw(ErrorKind::ValueValidation, format!("{argument}: {error}\n")).with_cmd(command)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_in_each_form() {
        for (text, path) in
            [("file:a/b", "a/b"), ("file:/a", "/a"), ("file:///a b", "/a b"), ("file:C:d", "C:d")]
        {
            assert_eq!(text.parse(), Ok(Place::File(path.into())));
        }
        for wrong in ["file:", "file://host/a"] {
            assert!(matches!(wrong.parse::<Place>(), Err(NotAPlace::Wrong { .. })), "{wrong}");
        }
        #[cfg(feature = "sqlite")]
        assert_eq!("sqlite:shop.db".parse(), Ok(Place::Sqlite("shop.db".into())));
    }

    #[test]
    fn what_is_unknown_or_not_built_is_refused() {
        for unknown in ["", "orders", "/var/lib/orders", "mysql://me:hunter2@host/db"] {
            assert_eq!(unknown.parse::<Place>(), Err(NotAPlace::Unknown), "{unknown}");
        }
        for (scheme, feature) in SCHEMES {
            let refused = format!("{scheme}://me:hunter2@host:x/db").parse::<Place>();
            match (feature, refused) {
                (Some((feature, false)), Err(NotAPlace::NotBuilt { feature: told })) => {
                    assert_eq!(told, feature);
                }
                (None | Some((_, true)), Err(NotAPlace::Wrong { problem })) => {
                    assert!(!problem.contains("hunter2"), "{problem}");
                }
                (_, other) => panic!("{scheme}: {other:?}"),
            }
        }
    }

    #[cfg(feature = "nats")]
    #[test]
    fn no_token_is_shown() {
        let place: Place = "nats://hunter2@host?sync=always".parse().expect("a place");
        assert_eq!(place.to_string(), "nats://host:4222");
        assert!(!format!("{place:?}").contains("hunter2"));
    }

    #[cfg(any(feature = "postgres", feature = "redis"))]
    #[test]
    fn no_password_is_shown() {
        let shown: &[(&str, &str)] = &[
            #[cfg(feature = "postgres")]
            ("postgres://me:hunter2@host/db", "postgres://host:5432/db"),
            #[cfg(feature = "redis")]
            ("rediss://me:hunter2@host/3", "redis://host:6379/3"),
        ];
        for (text, display) in shown {
            let place: Place = text.parse().expect("a place");
            assert_eq!(place.to_string(), *display);
            assert!(!format!("{place:?}").contains("hunter2"));
        }
    }
}
