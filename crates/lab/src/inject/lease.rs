//! Faults inside a linked process, held by leases at its control socket.

use std::time::{Duration, Instant};

use steadfast_base::{Class, Classify, Seed};
use steadfast_fault::control::{Client, ClientError, Code};
use steadfast_fault::{Fault, Lease, LeaseId};

use super::dose::{Span, end_span};
use super::{Dose, Error, Injector, Observation};
use crate::system::Process;
use crate::undo::{Undo, no_lease_is_active};

/// How long a lease lasts if it is not renewed.
const TTL: Duration = Duration::from_secs(3);
/// How often it is renewed; each answer carries the dose.
const RENEW: Duration = Duration::from_millis(500);
/// How long one request may take: several fit into the life of a lease.
const REQUEST: Duration = Duration::from_millis(800);
/// How long the first injection is tried.
const INJECT_WITHIN: Duration = Duration::from_secs(3);

/// Holds a fault in a linked process by a lease that is renewed until the fault ends.
///
/// If the target was started again, or the lease expired because nobody could renew it, the fault is injected anew
/// under the next number, and the doses are added.
#[derive(Debug)]
pub struct LeasedFault {
    process: String,
    client: Client,
    fault: Fault,
    seed: Option<Seed>,
    /// What the ids of all leases of this fault begin with.
    prefix: String,
    leases: u32,
    /// Whether the current lease was asked for and nobody answered: it may be held all the same.
    unanswered: bool,
    /// The dose of the leases before the current one.
    before: steadfast_fault::Dose,
    /// The dose of the current lease, as last seen.
    current: steadfast_fault::Dose,
    spans: Vec<Span>,
}

impl LeasedFault {
    /// Makes `fault` in `process`. The name `name` of the fault and the marker of the run make its leases unique.
    ///
    /// # Errors
    /// The process has no control socket, or the fault makes no sense.
    pub fn new(
        process: &Process,
        name: &str,
        marker: &str,
        fault: Fault,
        seed: Option<Seed>,
    ) -> Result<Self, Error> {
        let not_linked = || Error::NotLinked { process: process.name().to_owned() };
        let socket = process.config().control_socket.clone().ok_or_else(not_linked)?;
        fault.validate()?;
        let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
        let (name, run): (String, String) =
            (name.chars().map(safe).take(30).collect(), marker.chars().map(safe).rev().take(60).collect());
        // The marker's end is what makes it unique.
        let prefix = format!("{}/{name}/", run.chars().rev().collect::<String>());
        Ok(Self {
            process: process.name().to_owned(),
            client: Client::new(socket).with_timeout(REQUEST),
            fault,
            seed,
            prefix,
            leases: 0,
            unanswered: false,
            before: steadfast_fault::Dose::default(),
            current: steadfast_fault::Dose::default(),
            spans: Vec::new(),
        })
    }

    fn id(&self) -> Result<LeaseId, Error> {
        Ok(format!("{}{}", self.prefix, self.leases).parse()?)
    }

    /// Takes what the target says of the current lease, which is held therefore.
    fn take_held(&mut self, lease: Lease) {
        self.current = lease.dose;
        self.unanswered = false;
        if self.spans.last().is_none_or(|span| span.to.is_some()) {
            self.spans.push(Span::since(Instant::now()));
        }
    }

    /// Injects under the next number; what the lease before it did is kept. A number whose injection was not answered
    /// is asked for again, which renews it if it was heard: under another number the fault would be there twice.
    fn inject_anew(&mut self) -> Result<(), Error> {
        end_span(&mut self.spans, Instant::now());
        if !self.unanswered {
            add(&mut self.before, &std::mem::take(&mut self.current));
            self.leases += 1;
        }
        let injected = self.client.inject(&self.id()?, &self.fault, TTL, self.seed);
        self.unanswered = !matches!(injected, Ok(_) | Err(ClientError::Refused(_)));
        self.take_held(injected?);
        Ok(())
    }
}

impl Injector for LeasedFault {
    fn kind(&self) -> &'static str {
        "process"
    }

    fn target(&self) -> &str {
        &self.process
    }

    fn prepare(&mut self) -> Result<Undo, Error> {
        Ok(Undo::Revoke { socket: self.client.path().to_owned(), prefix: self.prefix.clone() })
    }

    fn inject(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + INJECT_WITHIN;
        loop {
            match self.inject_anew() {
                Err(Error::Control(error))
                    if error.classify() == Class::Transient && Instant::now() < deadline =>
                {
                    std::thread::sleep(Duration::from_millis(50));
                }
                result => return result,
            }
        }
    }

    fn uphold(&mut self) -> Result<Duration, Error> {
        match self.client.renew(&self.id()?, TTL) {
            Ok(lease) => self.take_held(lease),
            Err(ClientError::Refused(refusal)) if matches!(refusal.code, Code::Unknown | Code::Ended) => {
                self.inject_anew()?;
            }
            Err(error @ ClientError::Unreachable { .. }) => {
                // The target is down and the fault with it.
                end_span(&mut self.spans, Instant::now());
                return Err(error.into());
            }
            Err(error) => return Err(error.into()),
        }
        Ok(RENEW)
    }

    fn observe(&self) -> Observation {
        let mut dose = self.before.clone();
        add(&mut dose, &self.current);
        Observation { dose: Dose::Calls(dose), spans: self.spans.clone() }
    }

    fn undo(&mut self) -> Result<(), Error> {
        // What counts is what the list shows afterwards; a target that is gone refuses to answer, for one.
        let revoked = self.client.revoke(&self.id()?);
        end_span(&mut self.spans, Instant::now());
        if let Ok(lease) = revoked {
            self.current = lease.dose;
        }
        Ok(())
    }

    fn verify(&mut self) -> Result<String, Error> {
        no_lease_is_active(&self.client, &self.prefix).map_err(Error::StillThere)
    }
}

/// Adds what one lease did to what others did.
fn add(sum: &mut steadfast_fault::Dose, more: &steadfast_fault::Dose) {
    sum.seen += more.seen;
    sum.affected += more.affected;
    sum.delayed += more.delayed;
    sum.delayed_ms += more.delayed_ms;
    sum.failed += more.failed;
    sum.stalls += more.stalls;
    sum.stalled_ms += more.stalled_ms;
    sum.stalls_missed += more.stalls_missed;
    let workers = sum.stalled_ms_by_worker.len().max(more.stalled_ms_by_worker.len());
    sum.stalled_ms_by_worker.resize(workers, 0);
    for (sum, more) in sum.stalled_ms_by_worker.iter_mut().zip(&more.stalled_ms_by_worker) {
        *sum += more;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::Path;

    use super::*;

    /// What becomes of an exchange with the target.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Exchange {
        Passed,
        RequestLost,
        AnswerLost,
    }

    /// Stands at `front` before the target at `back` and treats exchanges as told, those beyond as passed.
    fn stand_between(front: &Path, back: &Path, script: Vec<Exchange>) {
        let listener = UnixListener::bind(front).expect("a socket");
        let back = back.to_owned();
        std::thread::spawn(move || {
            let script = script.into_iter().chain(std::iter::repeat(Exchange::Passed));
            for (stream, exchange) in listener.incoming().zip(script) {
                let mut stream = BufReader::new(stream.expect("a connection"));
                let mut line = String::new();
                stream.read_line(&mut line).expect("a request");
                if exchange == Exchange::RequestLost {
                    continue;
                }
                let mut target = BufReader::new(UnixStream::connect(&back).expect("the target listens"));
                target.get_mut().write_all(line.as_bytes()).expect("it is sent");
                line.clear();
                target.read_line(&mut line).expect("an answer");
                if exchange == Exchange::Passed {
                    stream.get_mut().write_all(line.as_bytes()).expect("it is sent");
                }
            }
        });
    }

    fn leased(socket: &Path) -> LeasedFault {
        LeasedFault {
            process: "orders".to_owned(),
            client: Client::new(socket).with_timeout(REQUEST),
            fault: serde_json::from_str(r#"{"http": {"status": 503}}"#).expect("a fault"),
            seed: None,
            prefix: "run/refuse/".to_owned(),
            leases: 0,
            unanswered: false,
            before: steadfast_fault::Dose::default(),
            current: steadfast_fault::Dose::default(),
            spans: Vec::new(),
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_fault_is_held_once_and_its_spans_are_those_in_which_it_is() {
        use Exchange::{AnswerLost, Passed, RequestLost};
        let folder = tempfile::tempdir().expect("a folder");
        let (front, back) = (folder.path().join("front"), folder.path().join("back"));
        let target = steadfast_fault::Injector::listen(&back).expect("it listens");
        stand_between(&front, &back, vec![AnswerLost, RequestLost, Passed, Passed, RequestLost, Passed]);
        let mut fault = leased(&front);
        fault.inject().expect("it is injected in the end");
        assert_eq!(target.leases().len(), 1, "the lost answer was that of the same lease");
        fault.uphold().expect("it is held");
        assert!(fault.uphold().is_err());
        assert!(fault.observe().spans[0].to.is_some(), "nobody can say whether it is held");
        fault.uphold().expect("it is held");
        let spans = fault.observe().spans;
        assert_eq!((spans.len(), spans[1].to), (2, None));
        assert_eq!(target.leases().len(), 1);
    }
}
