//! The lines of the undo log: eight hex digits of CRC-32C, a space, the record as JSON.

use std::path::PathBuf;

use crc32c::crc32c;
use serde::{Deserialize, Serialize};

use crate::system::Identity;

/// What undoes a thing that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "camelCase")]
#[non_exhaustive]
pub enum Undo {
    /// Kill a process and all that it brought forth.
    Kill {
        /// The process that was started.
        leader: Identity,
    },
    /// Let stopped processes go on.
    Resume {
        /// The processes that were stopped.
        processes: Vec<Identity>,
    },
    /// Take back leases at the control socket of a linked process.
    Revoke {
        /// The socket.
        socket: PathBuf,
        /// What the ids of the leases begin with.
        prefix: String,
    },
    /// Start a process again. Only the run itself does it; once the run is dead the system is to be gone anyway.
    Restart {
        /// The process's name.
        process: String,
    },
}

impl std::fmt::Display for Undo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kill { leader } => write!(f, "kill {leader} and its descendants"),
            Self::Resume { processes } => {
                f.write_str("continue")?;
                processes.iter().try_for_each(|process| write!(f, " {process}"))
            }
            Self::Revoke { socket, prefix } => write!(f, "revoke leases {prefix}* at {}", socket.display()),
            Self::Restart { process } => write!(f, "start {process} again"),
        }
    }
}

/// How a run is introduced in its undo log and in the state folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Begun {
    pub(crate) run: String,
    /// In the environment of each process that the run starts.
    pub(crate) marker: String,
    /// The `steadfast` that runs it.
    pub(crate) owner: Identity,
    /// The boot that pids and start times belong to.
    pub(crate) boot: String,
    /// The undo log.
    pub(crate) log: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "camelCase")]
pub(crate) enum Record {
    Begun(Begun),
    Open { id: u64, what: String, undo: Undo },
    Undone { id: u64, by: String, how: String },
    Ended { by: String },
}

impl Record {
    pub(crate) fn to_line(&self) -> String {
        let json = serde_json::to_string(self).expect("a record has only keys that are strings");
        format!("{:08x} {json}\n", crc32c(json.as_bytes()))
    }

    fn from_line(line: &str) -> Option<Self> {
        let (sum, json) = line.split_once(' ')?;
        let sum = u32::from_str_radix(sum, 16).ok().filter(|_| sum.len() == 8)?;
        if sum != crc32c(json.as_bytes()) {
            return None;
        }
        serde_json::from_str(json).ok()
    }
}

/// The records of a log and how many lines are damaged. Each line stands for itself: a damaged one never hides
/// what the others say must be undone.
pub(crate) fn parse(text: &[u8]) -> (Vec<Record>, usize) {
    let text = String::from_utf8_lossy(text);
    let mut damaged = 0;
    let mut records = Vec::new();
    for line in text.split_inclusive('\n') {
        // A line without its end is one whose writer died in it: what it announces was not done yet.
        let Some(line) = line.strip_suffix('\n') else { continue };
        match Record::from_line(line) {
            Some(record) => records.push(record),
            None => damaged += 1,
        }
    }
    (records, damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn resume(pid: i32) -> Record {
        let undo = Undo::Resume { processes: vec![Identity { pid, start_time: 7 }] };
        Record::Open { id: 1, what: "freeze".into(), undo }
    }

    #[test]
    fn a_torn_tail_is_no_damage_and_a_damaged_line_hides_no_other() {
        let whole = format!("{}{}", resume(1).to_line(), resume(2).to_line());
        let torn = &whole.as_bytes()[..whole.len() - 1];
        assert_eq!(parse(torn), (vec![resume(1)], 0));
        let mut flipped = whole.clone().into_bytes();
        flipped[20] ^= 1;
        assert_eq!(parse(&flipped), (vec![resume(2)], 1));
    }

    proptest! {
        #[test]
        fn records_survive_the_way_through_text(id: u64, what in ".*", pid: i32, start_time: u64, lease in ".*") {
            let processes = vec![Identity { pid, start_time }; 2];
            let undos = [
                Undo::Resume { processes },
                Undo::Kill { leader: Identity { pid, start_time } },
                Undo::Revoke { socket: "/tmp/a b".into(), prefix: lease.clone() },
                Undo::Restart { process: lease },
            ];
            for undo in undos {
                let record = Record::Open { id, what: what.clone(), undo };
                prop_assert_eq!(parse(record.to_line().as_bytes()), (vec![record], 0));
            }
        }

        #[test]
        fn rubbish_is_never_a_record(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(parse(&bytes).0, vec![]);
        }
    }
}
