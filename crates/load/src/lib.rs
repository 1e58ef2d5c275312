//! Open-model load generator.
