//! Event stores, transports and adapters, one folder per outside system.
