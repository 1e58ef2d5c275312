//! A connection that a supervisor holds.

use std::fmt;

use ::deadpool::managed::{Manager, Object, Pool};

/// A connection, borrowed from a pool or opened beside it. Dropping it gives it back, or closes it.
pub struct Connection<M: Manager>(Kind<M>);

enum Kind<M: Manager> {
    Borrowed(Object<M>),
    Beside(Beside<M>),
}

/// The manager knows of every connection that it made, and is told when one ends.
struct Beside<M: Manager> {
    connection: M::Type,
    pool: Pool<M>,
}

impl<M: Manager> Connection<M> {
    pub(super) fn borrowed(object: Object<M>) -> Self {
        Self(Kind::Borrowed(object))
    }

    pub(super) fn beside(connection: M::Type, pool: Pool<M>) -> Self {
        Self(Kind::Beside(Beside { connection, pool }))
    }

    pub(super) fn inner(&mut self) -> &mut M::Type {
        match &mut self.0 {
            Kind::Borrowed(object) => object,
            Kind::Beside(beside) => &mut beside.connection,
        }
    }

    /// Closes it.
    pub(super) fn close(self) {
        match self.0 {
            Kind::Borrowed(object) => drop(Object::take(object)),
            Kind::Beside(beside) => drop(beside),
        }
    }
}

impl<M: Manager> Drop for Beside<M> {
    fn drop(&mut self) {
        self.pool.manager().detach(&mut self.connection);
    }
}

impl<M: Manager> fmt::Debug for Connection<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Borrowed(_) => "Connection(borrowed)",
            Kind::Beside(_) => "Connection(beside the pool)",
        })
    }
}
