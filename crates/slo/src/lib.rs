//! Service level indicators, objectives and their arithmetic. Pure: what was observed goes in, numbers come out.
//!
//! A [`Series`] holds what the load saw of one step: how many commands succeeded and failed, and how long those that
//! succeeded took, each counted at the moment at which it *should* have started. A server that was down for a second
//! has therefore failed every command of that second, however few of them it took notice of. An [`Objective`] is
//! evaluated over a [`Window`] of the series and yields an [`Sli`], which says "met" or "violated" only where enough
//! was observed to say so.
//!
//! What a process says of itself, its Prometheus metrics, is read by [`prometheus`]; there a scrape that is missing
//! is never taken for a good one.

mod burn;
mod objective;
pub mod prometheus;
mod series;
mod tally;
mod window;

pub use burn::BurnRule;
pub use burn::burn_rate;
pub use objective::Bound;
pub use objective::Indicator;
pub use objective::Objective;
pub use objective::Percentile;
pub use objective::SAMPLES_MIN;
pub use objective::Sli;
pub use objective::Unit;
pub use series::SERIES_LENGTH_MAX;
pub use series::SLOT;
pub use series::Second;
pub use series::Series;
pub use tally::Tally;
pub use window::Window;
