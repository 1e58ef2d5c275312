use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};

type Order = (Command, Sender<std::io::Result<Child>>);

/// Starts `command` so that the kernel ends it with this process, also when this process is killed.
///
/// The kernel takes the *thread* that started a process for its parent, and ends the process with that thread. So one
/// thread starts them all, and it lives as long as the process.
pub(crate) fn spawn(command: Command) -> std::io::Result<Child> {
    static STARTER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (orders, waiting) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in waiting {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (answer, started) = channel();
    let gone = || std::io::Error::other("the thread that starts servers is gone");
    starter.lock().unwrap_or_else(PoisonError::into_inner).send((command, answer)).map_err(|_| gone())?;
    started.recv().map_err(|_| gone())?
}
