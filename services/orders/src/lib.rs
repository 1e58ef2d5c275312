//! The reference backend: orders, payment and inventory.
