//! What Redis does in one step, as scripts: each runs alone, and its effects are kept or lost together.

use std::sync::LazyLock;

use ::redis::Script;

macro_rules! script {
    ($(#[$doc:meta])* $name:ident, $file:literal) => {
        $(#[$doc])*
        pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(include_str!(concat!("scripts/", $file))));
    };
}

script!(
    /// Appends events while they fit.
    SEND, "send.lua"
);
script!(
    /// Renews a receiver's lease and shares shards out.
    LEASE, "lease.lua"
);
script!(
    /// Ends a receiver's lease.
    LEAVE, "leave.lua"
);
script!(
    /// Takes over what another receiver has left.
    CLAIM, "claim.lua"
);
script!(
    /// Reads new entries.
    READ, "read.lua"
);
