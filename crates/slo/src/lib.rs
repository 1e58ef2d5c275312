//! Service level indicators, objectives and their arithmetic.
