//! Timers: intervals and cron.
