use std::fmt::Write;

use super::Machine;

/// Draws a machine in the language of Mermaid.
pub(super) fn mermaid<M: Machine>() -> String {
    let mut diagram = "stateDiagram-v2\n".to_owned();
    let mut line = |from: &str, to: &str, command: Option<M::Command>| {
        let label = command.map(|command| format!(": {command}")).unwrap_or_default();
        writeln!(diagram, "    {from} --> {to}{label}").expect("text can always be written to");
    };
    line("[*]", M::START.as_str(), M::BIRTH);
    for transition in M::TRANSITIONS {
        line(transition.from.as_str(), transition.to.as_str(), Some(transition.command));
    }
    for end in M::ALL.iter().filter(|state| state.is_end()) {
        line(end.as_str(), "[*]", None);
    }
    diagram
}
