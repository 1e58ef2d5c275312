//! File I/O that can be real or faulty.
