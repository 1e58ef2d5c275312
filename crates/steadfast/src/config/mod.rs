//! Configuration: plain serde structs, filled from defaults, then a JSON file, then the environment.
//!
//! A struct says its defaults by `Default`. A file gives some of its fields; an environment variable gives one:
//! `ORDERS__RUNTIME__DRAIN=5s` sets `runtime.drain`, upper and lower case and underscores within a name being the
//! same (`ORDERS__MAX_ORDERS` sets `maxOrders`). What is not a field is an error, never ignored.
//!
//! [`watch`] reads the file again when it changes, so that what can be changed at run time is.
//!
//! # Examples
//! ```
//! use steadfast::config;
//! use steadfast::runtime::RuntimeConfig;
//!
//! #[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
//! #[serde(default, rename_all = "camelCase")]
//! struct Config {
//!     listen: String,
//!     runtime: RuntimeConfig,
//! }
//!
//! let environment = [("ORDERS__RUNTIME__WORKERS", "4"), ("ORDERS__LISTEN", "127.0.0.1:8080"), ("HOME", "/")];
//! let config: Config = config::load_from(None, "ORDERS", environment)?;
//! assert_eq!(config.runtime.workers.map(|workers| workers.get()), Some(4));
//!
//! let typo = [("ORDERS__RUNTIME__WORKER", "4")];
//! let error = config::load_from::<Config>(None, "ORDERS", typo).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "ORDERS__RUNTIME__WORKER in the environment: no such field, `runtime` has drain, name, workers; did you mean `workers`?"
//! );
//! # Ok::<(), config::Error>(())
//! ```

mod error;
mod load;
mod path;
mod reload;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use error::Origin;
pub use load::load;
pub use load::load_from;
pub use reload::watch;
