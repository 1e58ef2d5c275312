//! Reading a configuration again when its file changes.

use std::convert::Infallible;
use std::fmt::Display;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::load;

/// Hands the configuration to `apply` now, whenever `file` has changed, and whenever the process gets SIGHUP; it is
/// filled as [`load`] does. Never ends: whoever awaits it owns it, and drops it to stop watching.
///
/// The file is looked at `every` so long (50 ms at least): its time of change, its size, and which file it is, so that a
/// file that is renamed into its place is seen too, which is how to change it without anybody reading half of it. A
/// configuration that cannot be read, or that `apply` refuses, is logged, once for each change, and what was before stays.
///
/// # Errors
/// When SIGHUP cannot be listened to. A retry can help once the process has file descriptors again.
///
/// # Cancel safety
/// Dropping the future stops watching. `apply` has been called or not, never in part. SIGHUP, which ends a process by
/// default, has no effect from then on.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast::config;
/// use steadfast::guard::stack::{OutgoingSettings, Stack};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let file = folder.path().join("payment.json");
/// std::fs::write(&file, r#"{"bulkhead": {"concurrencyMax": 16}}"#)?;
/// let stack = Stack::outgoing("payment").configured(&OutgoingSettings::default())?;
/// let watched = stack.clone();
/// let watch = tokio::spawn(async move {
///     let apply = |settings: OutgoingSettings| watched.apply(&settings);
///     config::watch(&file, "PAYMENT", Duration::from_secs(1), apply).await
/// });
/// # while !stack.to_string().contains("16 at a time") { tokio::task::yield_now().await; }
/// # watch.abort();
/// # Ok(())
/// # }
/// ```
pub async fn watch<T, E>(
    file: &Path,
    prefix: &str,
    every: Duration,
    mut apply: impl FnMut(T) -> Result<(), E>,
) -> io::Result<Infallible>
where
    T: Default + Serialize + DeserializeOwned,
    E: Display,
{
    const EVERY_MIN: Duration = Duration::from_millis(50);
    let mut asked = signal(SignalKind::hangup())?;
    let mut seen = None;
    loop {
        let stamp = Stamp::of(file).await;
        if seen.as_ref() != Some(&stamp) {
            reload(file, prefix, &mut apply);
            seen = Some(stamp);
        }
        if wait(&mut asked, every.max(EVERY_MIN)).await == Woken::Asked {
            seen = None;
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Woken {
    Asked,
    TimePassed,
}

async fn wait(asked: &mut Signal, every: Duration) -> Woken {
    tokio::select! {
        Some(()) = asked.recv() => Woken::Asked,
        () = tokio::time::sleep(every) => Woken::TimePassed,
    }
}

/// By what a change of a file is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stamp {
    Is { modified: Option<SystemTime>, size: u64, inode: u64 },
    IsNot(io::ErrorKind),
}

impl Stamp {
    async fn of(file: &Path) -> Self {
        use std::os::unix::fs::MetadataExt;
        match tokio::fs::metadata(file).await {
            Ok(data) => Self::Is { modified: data.modified().ok(), size: data.len(), inode: data.ino() },
            Err(error) => Self::IsNot(error.kind()),
        }
    }
}

fn reload<T, E>(file: &Path, prefix: &str, apply: &mut impl FnMut(T) -> Result<(), E>)
where
    T: Default + Serialize + DeserializeOwned,
    E: Display,
{
    let file_name = file.display();
    match load(Some(file), prefix) {
        Ok(config) => match apply(config) {
            Ok(()) => tracing::info!(file = %file_name, "the configuration holds"),
            Err(error) => {
                tracing::error!(file = %file_name, %error, "the configuration is refused, that of before stays");
            }
        },
        Err(error) => {
            let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            tracing::error!(file = %file_name, %error, source, "the configuration cannot be read, that of before stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io::{self, Write};
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;
    use crate::runtime::RuntimeConfig;

    const EVERY: Duration = Duration::from_millis(50);
    /// After this, what is waited for does not come any more.
    const TOO_LONG: Duration = Duration::from_secs(30);

    /// What was logged.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        fn count(&self, words: &str) -> usize {
            String::from_utf8_lossy(&self.0.lock()).matches(words).count()
        }
    }

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Writes a file as configurations should be written: whole or not at all.
    fn put(file: &Path, text: &str) {
        let draft = file.with_extension("draft");
        std::fs::write(&draft, text).expect("a file");
        std::fs::rename(&draft, file).expect("it is in place");
    }

    #[tokio::test]
    async fn what_is_good_is_applied_and_what_is_bad_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("runtime.json");
        put(&file, r#"{"name": "one"}"#);
        let names = RefCell::new(Vec::new());
        let apply = |config: RuntimeConfig| {
            names.borrow_mut().push(config.name.clone());
            if config.name == "refused" { Err("no such name") } else { Ok(()) }
        };
        let until = async |count: usize| {
            while names.borrow().len() < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        let _here = tracing::subscriber::set_default(subscriber);
        let unreadable = async |count: usize| {
            while lines.count("the configuration cannot be read") < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let changes = async {
            until(1).await;
            put(&file, r#"{"name": "refused"}"#);
            until(2).await;
            put(&file, r#"{"nam": "two"}"#);
            unreadable(1).await;
            std::fs::remove_file(&file).expect("it is gone");
            unreadable(2).await;
            put(&file, r#"{"name": "three"}"#);
            until(3).await;
            let this = rustix::process::getpid();
            rustix::process::kill_process(this, rustix::process::Signal::HUP).expect("a signal");
            until(4).await;
        };
        tokio::select! {
            ended = watch(&file, "NO_SUCH_PREFIX", EVERY, apply) => panic!("{ended:?}"),
            () = changes => {}
            () = tokio::time::sleep(TOO_LONG) => panic!("{:?}", *names.borrow()),
        }
        assert_eq!(*names.borrow(), ["one", "refused", "three", "three"]);
        assert_eq!(lines.count("the configuration cannot be read"), 2, "once for each change");
    }

    #[cfg(feature = "guard")]
    #[tokio::test]
    async fn the_policies_of_pools_workers_and_scopes_follow_the_file_all_or_none() {
        use serde::Deserialize;
        use steadfast_base::Seed;
        use steadfast_guard::pool_health::{PoolHealth, PoolHealthPolicy};
        use steadfast_guard::workers::memory::ProcessMemory;
        use steadfast_guard::{PolicyError, Scope, ScopePolicy, Workers, WorkersPolicy};

        use crate::idle_pool::Idle;

        #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields, rename_all = "camelCase")]
        struct Policies {
            pool: PoolHealthPolicy,
            workers: WorkersPolicy,
            scope: ScopePolicy,
        }

        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("policies.json");
        put(&file, r#"{"pool": {"interval": "1h"}}"#);
        let pool = PoolHealth::new("ledger", Idle, PoolHealthPolicy::default(), Seed::new(1));
        let (probe, handle) = (pool.probe(), pool.handle());
        let workers = Workers::start("images", WorkersPolicy::default(), Arc::new(ProcessMemory::new()));
        let scope = Scope::new("work", ScopePolicy::default());
        let now = || Policies { pool: handle.policy(), workers: workers.policy(), scope: scope.policy() };
        let answers = RefCell::new(Vec::new());
        let apply = |policies: Policies| {
            let Policies { pool, workers: of_workers, scope: of_scope } = policies;
            let applied = (|| -> Result<(), PolicyError> {
                pool.check()?;
                of_workers.check()?;
                of_scope.check()?;
                handle.apply(pool)?;
                workers.apply(of_workers)?;
                scope.apply(of_scope)
            })();
            answers.borrow_mut().push(applied.as_ref().map_err(ToString::to_string).err());
            applied
        };
        let until = async |count: usize| {
            while answers.borrow().len() < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let changes = async {
            until(1).await;
            assert_eq!((now().pool.interval, probe.snapshot().rounds), (Duration::from_secs(3600), 0));
            put(&file, r#"{"pool": {"interval": "20ms"}, "scope": {"tasksMax": 7}}"#);
            until(2).await;
            while probe.snapshot().rounds < 3 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let applied = now();
            assert_eq!((applied.pool.interval, applied.scope.tasks_max), (Duration::from_millis(20), 7));
            put(&file, r#"{"pool": {"interval": "1s"}, "workers": {"concurrencyMax": 0}}"#);
            until(3).await;
            assert_eq!(now(), applied);
        };
        tokio::select! {
            ended = watch(&file, "NO_SUCH_PREFIX", EVERY, apply) => panic!("{ended:?}"),
            () = pool.run() => panic!("the pool is open"),
            () = changes => {}
            () = tokio::time::sleep(TOO_LONG) => panic!("{:?}", *answers.borrow()),
        }
        let refused = "concurrencyMax: 0 is too little; write 1 or more".to_owned();
        assert_eq!(*answers.borrow(), [None, None, Some(refused)]);
    }
}
