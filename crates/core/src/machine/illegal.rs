use std::fmt;

use super::Machine;

/// A command that the state does not allow; repeating it helps only once the state has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Illegal<M: Machine> {
    /// The state that the machine is in.
    pub from: M,
    /// What was asked.
    pub command: M::Command,
}

impl<M: Machine> Illegal<M> {
    /// Returns the commands that the state allows.
    pub fn allowed(&self) -> &'static [M::Command] {
        self.from.allowed()
    }
}

impl<M: Machine> fmt::Display for Illegal<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, command } = self;
        write!(f, "`{from}` does not allow `{command}`")?;
        let Some((last, others)) = self.allowed().split_last() else {
            return f.write_str(", for it is an end");
        };
        f.write_str(", only ")?;
        for (number, other) in others.iter().enumerate() {
            write!(f, "{}`{other}`", if number == 0 { "" } else { ", " })?;
        }
        write!(f, "{}`{last}`", if others.is_empty() { "" } else { " or " })
    }
}

impl<M: Machine> std::error::Error for Illegal<M> {}
