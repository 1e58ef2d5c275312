//! The one thread that starts processes.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;

use parking_lot::Mutex;

/// Starts processes from one thread that lives as long as this value.
///
/// The kernel's parent-death signal is sent when the *thread* that forked ends. So the thread's life is the
/// processes' life: when this value is dropped, or `steadfast` dies, they are killed.
#[derive(Debug)]
pub(super) struct Spawner {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Job {
    command: Command,
    reply: mpsc::SyncSender<io::Result<Child>>,
}

impl Spawner {
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, received) = mpsc::channel::<Job>();
        let work = move || {
            for mut job in received {
                // The asker waits for the answer and cannot be gone.
                let _ = job.reply.send(job.command.spawn());
            }
        };
        let thread = std::thread::Builder::new().name("spawner".to_owned()).spawn(work)?;
        Ok(Self { jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)) })
    }

    /// Starts `command` as leader of a session of its own, with no input and with `output` for all it writes.
    pub(super) fn spawn(&self, mut command: Command, output: &File) -> io::Result<Child> {
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?);
        detach_but_die_with_parent(&mut command);
        let (reply, answer) = mpsc::sync_channel(1);
        let gone = || io::Error::other("the spawner thread is gone");
        let jobs = self.jobs.lock().clone().ok_or_else(gone)?;
        jobs.send(Job { command, reply }).map_err(|_| gone())?;
        drop(jobs);
        answer.recv().map_err(|_| gone())?
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        self.jobs.lock().take();
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

#[allow(unsafe_code, reason = "session and parent-death signal can only be set between fork and exec")]
fn detach_but_die_with_parent(command: &mut Command) {
    let parent = rustix::process::getpid();
    let prepare = move || {
        rustix::process::setsid()?;
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        // IMPORTANT: a parent that died before the line above sent no signal; then this process has another parent.
        if rustix::process::getppid() != Some(parent) {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        Ok(())
    };
    // SAFETY: the closure only makes system calls that are async-signal-safe; it neither allocates nor locks.
    unsafe {
        command.pre_exec(prepare);
    }
}
