//! HTTP: a source of CloudEvents, a sink, and signatures of webhooks.
