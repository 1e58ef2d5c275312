//! Deadlines, retries and circuit breakers as tower layers.
