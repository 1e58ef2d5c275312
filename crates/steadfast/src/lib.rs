//! Build event-driven backends that are proven under fault.
