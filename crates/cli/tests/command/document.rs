//! Documents about the example service.

/// An experiment of three seconds on the ledger; what a test is about is changed in it.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) name: &'static str,
    /// Flags of the ledger.
    pub(crate) flags: &'static str,
    pub(crate) linked: bool,
    /// How long it has to get ready.
    pub(crate) ready_within: &'static str,
    /// Seconds of each phase.
    pub(crate) phases: [u32; 3],
    pub(crate) faults: &'static str,
    pub(crate) objectives: &'static str,
}

impl Default for Document {
    fn default() -> Self {
        Self {
            name: "small",
            flags: "",
            linked: false,
            ready_within: "20s",
            phases: [1, 1, 1],
            faults: "",
            objectives: "{step: record, during: all, success: 90%}",
        }
    }
}

impl Document {
    pub(crate) fn text(&self) -> String {
        let Self { name, flags, linked, ready_within, phases, faults, objectives } = self;
        let [baseline, inject, recover] = phases;
        let length = baseline + inject + recover;
        let comma = if flags.is_empty() { "" } else { ", " };
        format!(
            r#"apiVersion: steadfast.dev/v1
kind: Experiment
metadata: {{name: {name}}}
system:
  processes:
    - name: ledger
      command: [ledger, --addr-file, "${{run.dir}}/ledger.addr"{comma}{flags}]
      ready: {{http: /ready, within: {ready_within}}}
      linked: {linked}
phases: {{baseline: {baseline}s, inject: {inject}s, recover: {recover}s}}
load:
  arrivals: [{{rate: 50/s, for: {length}s}}]
  scenario:
    - name: record
      http:
        method: POST
        url: "${{ledger.url}}/records"
        headers: {{Idempotency-Key: "${{uuid}}"}}
        body: "{{}}"
        timeout: 5s
      capture: {{id: $.id}}
  retry: {{max: 8, on: [connect, reset], backoff: {{initial: 100ms, max: 1s}}}}
faults: [{faults}]
objectives: [{objectives}]
invariants:
  - acknowledgedCommands:
      step: record
      key: $.id
      within: 1s
      log: {{http: "${{ledger.url}}/events", items: $.events, key: $.subject, command: $.commandId, kind: $.type}}
"#
        )
    }
}

/// The ledger is stopped for half a second.
pub(crate) const PAUSE: &str = "{name: freeze, at: 1s, for: 500ms, target: ledger, pause: {}}";

/// Long enough to be met in the middle: the ledger is stopped for as long as a test may take.
pub(crate) fn long() -> Document {
    Document {
        name: "long",
        flags: "--children",
        phases: [1, 50, 1],
        faults: "{name: freeze, at: 1s, for: 50s, target: ledger, pause: {}}",
        ..Document::default()
    }
}
