//! An event store in Redis, 6.2 or later.
//!
//! **How events lie there.** Every key of a store begins with its [name](Settings::name) in braces, so that in a cluster
//! all lie in one slot. `{NAME}:log` is a stream (the Redis type) with one entry for each event, a field for each
//! attribute. `{NAME}:index:STREAM`, a sorted set, has where the events of one stream stand; `{NAME}:next`, a hash, the
//! revision that each stream's next event gets; `{NAME}:ids` and `{NAME}:batches` the identities that are remembered;
//! `{NAME}:meta` the version of the format and the newest position. All of it is in the server's memory: what does not
//! fit there has no place in this store.
//!
//! **Order.** An append is one script: it looks for the batch, checks the condition, and writes. Redis runs scripts one
//! after the other and nothing else meanwhile, so positions become visible in their order, batches whole, and a reader
//! never passes one behind which an event appears later. A position is the server's time in milliseconds and a number
//! within it, and always behind the newest, whatever the clock does. To see that nothing matches a
//! [condition](steadfast_core::store::Condition::NoneMatching) the script looks at a few events only; where more stand
//! behind the position, they are read first, and the script is asked about the rest.
//!
//! **Durability** is what the server says of itself (`CONFIG GET`), at each connection:
//!
//! | server | declared |
//! |---|---|
//! | `appendonly yes`, `appendfsync always`, `no-appendfsync-on-rewrite no`, Redis 7.0.3 or later | `Durable`: it syncs before it answers anybody; older ones do not sync their folder |
//! | `appendonly yes`, `appendfsync everysec`, Redis 8.0 or later | `Durable`: it is asked to sync (`WAITAOF`), which takes up to a second with `everysec`; a reader waits for that too, if somebody else has appended |
//! | any other | `Accepted` |
//!
//! `everysec` is not even [`Written`](steadfast_core::store::Durability::Written): while a sync is under way Redis puts
//! off writing for up to two seconds, and answers all the same; with `no` it answers when a write has failed. Where
//! `CONFIG` is forbidden, [`Persistence`](super::Persistence) says what holds; where it is not, a server that does less
//! than is stated is refused. One that would make room by deleting events (`maxmemory-policy allkeys-…`) is refused
//! too, and so is, from the next connection on, one that keeps less than when the store was opened. Replicas follow
//! without being waited for: what fails over to one may lose what was durable.
//!
//! **A file that was cut.** What was synced is there again after a crash of the server or the loss of power. Where the
//! end of its file is missing, though, the server (`aof-load-truncated yes`) leaves the beginning of an append there,
//! and what is written behind that would be spoiled when it is started once more. So it is told to write its file anew
//! (`BGREWRITEAOF`) at the first connection after it was started, and nothing else is asked until that has ended: it takes
//! memory and a time that grow with all the server holds, as starting it did. What takes longer than
//! [`patience`](Settings::patience), opening the store too, fails until then and says so. Killed meanwhile, the server may
//! refuse to start, once: it has cut what was to be cut, and starts when it is started again. Where others, who do not
//! wait, have written to it before it was killed, half of an append may appear: give the store a server of its own.
//!
//! Where it cannot do that, or may not be asked to, it is believed if it is set to refuse such files
//! (`aof-load-truncated no`, in its configuration file: what is set later is too late for how it was started); one that
//! hides its settings is believed what [`Persistence`](super::Persistence) says, and without that nothing; others are
//! refused. (ADR 048)
//!
//! Redis' file has no checksums: where the disk kept a later part of what was being written and not an earlier one, the
//! server refuses to start until `redis-check-aof` has cut the file, or takes in a part of an append that nobody was
//! promised. Where that matters, take another store.
//!
//! **A server that has lost events.** Positions are times, so what a server has lost leaves its places empty: a reader
//! who has been there has seen what is no more, but misses nothing that is appended later. (Revisions go on behind what
//! survived.) Only a clock that is set back behind what was lost could give a place again, and then only if no process
//! that has seen it is left. A store that was declared `Durable` ends with
//! [`Damaged`](steadfast_core::store::Error::Damaged) when it sees that the newest event it knew is gone; whoever
//! opens it again goes on with what is left, and a subscription from a position that is not reached tells so too.
//!
//! **Duplicates** are recognised among the newest [`deduplicated_events`](Settings::deduplicated_events). An append
//! whose answer was lost is sent again and so finds out; when the server stays away for longer than
//! [`patience`](Settings::patience), the error says that the outcome is unknown.
//!
//! **Deleting** a stream empties it in one step; its events are taken out of the log by a thousand at a time, so a reader
//! of all streams may still see some of a longer one until the call returns. The process that dies meanwhile leaves the
//! rest to whoever opens the store next. Redis frees the memory of an entry, and writes its file without it, when all
//! entries near it are deleted too: where bytes must be gone, encrypt them.
//!
//! **Limits.** A batch has at most 10,000 events and 64 MiB.

mod append;
mod delete;
mod entry;
mod error;
mod facts;
mod keys;
mod open;
mod place;
mod read;
mod script;
mod session;
mod settings;

pub use open::RedisStore;
pub use settings::Settings;
