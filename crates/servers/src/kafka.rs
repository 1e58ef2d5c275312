use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, Launch, Server, locate};

const MEND: &str =
    "set STEADFAST_KAFKA_LIBS to a folder with the jars of Apache Kafka 4 and their dependencies";

/// An Apache Kafka 4 node, broker and controller in one (KRaft), whose topics are kept in its folder. It answers
/// before it syncs, as Kafka does: what is acknowledged survives a SIGKILL, but not the loss of power.
///
/// It needs Java 17 or later, and Kafka's jars in the folder that the environment variable `STEADFAST_KAFKA_LIBS`
/// names. Topics have to be created; groups form without delay, and their members are asked for a sign of life every
/// second.
///
/// # Examples
/// ```no_run
/// let mut kafka = steadfast_servers::Kafka::start()?;
/// println!("{}", kafka.address());
/// kafka.kill();
/// kafka.restart()?;
/// # Ok::<(), steadfast_servers::Error>(())
/// ```
#[derive(Debug)]
pub struct Kafka(Server);

impl Kafka {
    /// Starts a node.
    ///
    /// # Errors
    /// [`Error::Missing`]; [`Error::Start`]; [`Error::NotReady`].
    pub fn start() -> Result<Self, Error> {
        Self::start_with(&[])
    }

    /// Starts a node with further settings of `server.properties`, such as `("min.insync.replicas", "2")`; they
    /// override its own. The listener of clients is called `CLIENTS`.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Self, Error> {
        let launch = |address: SocketAddr, folder: &Path| launch(address, folder, settings);
        Server::start("kafka", launch, Server::accepts).map(Self)
    }

    /// Returns where it listens, the same after each restart.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Kills it with SIGKILL and waits until it has ended.
    pub fn kill(&mut self) {
        self.0.kill();
    }

    /// Starts it again on the same port and data, after killing it if it runs.
    ///
    /// # Errors
    /// [`Error::Start`]; [`Error::NotReady`].
    pub fn restart(&mut self) -> Result<(), Error> {
        self.0.restart()
    }
}

fn launch(address: SocketAddr, folder: &Path, settings: &[(&str, &str)]) -> Result<Launch, Error> {
    let failed = |source| Error::Start { program: "kafka".to_owned(), source };
    let java = locate("java", "STEADFAST_JAVA", "install Java 17 or later")?;
    let libs = std::env::var_os("STEADFAST_KAFKA_LIBS").map(PathBuf::from).filter(|libs| libs.is_dir());
    let libs = libs.ok_or(Error::Missing { program: "kafka", mend: MEND })?;
    let controller = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
    let properties = properties(address, controller.map_err(failed)?, &folder.join("data"), settings);
    let file = folder.join("server.properties");
    std::fs::write(&file, properties).map_err(failed)?;

    let mut common = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"].map(OsString::from).to_vec();
    common.push("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn".into());
    common.push("-cp".into());
    common.push(libs.join("*").into());

    let format = ["kafka.tools.StorageTool", "format", "--cluster-id", "c3RlYWRmYXN0LXRlc3RzMQ", "--config"];
    let output = Command::new(&java).args(&common).args(format).arg(&file).output().map_err(failed)?;
    if !output.status.success() {
        return Err(Error::NotReady {
            program: "kafka".to_owned(),
            problem: format!("could not format its folder: {}", output.status),
            log: file,
            tail: String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        });
    }
    common.push("kafka.Kafka".into());
    common.push(file.into());
    Ok(Launch { program: java, arguments: common, environment: Vec::new() })
}

fn properties(address: SocketAddr, controller: SocketAddr, data: &Path, settings: &[(&str, &str)]) -> String {
    let own = [
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", "1".to_owned()),
        ("controller.quorum.voters", format!("1@{controller}")),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("inter.broker.listener.name", "CLIENTS".to_owned()),
        ("listener.security.protocol.map", "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned()),
        ("listeners", format!("CLIENTS://{address},CONTROLLER://{controller}")),
        ("advertised.listeners", format!("CLIENTS://{address}")),
        ("log.dirs", data.display().to_string()),
        ("auto.create.topics.enable", "false".to_owned()),
        ("offsets.topic.replication.factor", "1".to_owned()),
        ("offsets.topic.num.partitions", "1".to_owned()),
        ("transaction.state.log.replication.factor", "1".to_owned()),
        ("transaction.state.log.min.isr", "1".to_owned()),
        ("transaction.state.log.num.partitions", "1".to_owned()),
        ("group.initial.rebalance.delay.ms", "0".to_owned()),
        ("group.consumer.heartbeat.interval.ms", "1000".to_owned()),
        ("group.consumer.min.heartbeat.interval.ms", "1000".to_owned()),
        // A node that was killed may register again once its session has ended.
        ("broker.session.timeout.ms", "1000".to_owned()),
        ("broker.heartbeat.interval.ms", "200".to_owned()),
        // Threads cost a small machine memory and time to start.
        ("num.network.threads", "1".to_owned()),
        ("num.io.threads", "2".to_owned()),
        ("background.threads", "2".to_owned()),
        ("log.cleaner.enable", "false".to_owned()),
    ];
    let own = own.iter().map(|(name, value)| (*name, value.as_str()));
    // The last of several lines with the same name counts.
    own.chain(settings.iter().copied()).map(|(name, value)| format!("{name}={value}\n")).collect()
}

#[cfg(test)]
mod with_kafka {
    use super::*;

    #[test]
    fn it_is_killed_and_started_again() {
        let mut server = Kafka::start().expect("the server starts");
        let address = server.address();
        server.kill();
        assert!(!Server::accepts(address));
        server.restart().expect("the server starts again");
        assert!(server.address() == address && Server::accepts(address));
    }
}
