//! `wrk` with a script that posts events.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};

const CONNECTIONS: usize = 64;

/// Makes all requests before the first is sent, so that the script costs next to nothing meanwhile. There are more of
/// them than ids are remembered by the source, so that none is taken for a repetition.
const SCRIPT: &str = r#"
local thread = 0
function setup(t) t:set("number", thread); thread = thread + 1 end
local requests, next_one = {}, 0
function init(args)
  local body = '{"order":"A-17","total":4217,"currency":"EUR","lines":[1,2,3,4]}'
  for i = 1, 20000 do
    requests[i] = wrk.format("POST", nil, {
      ["content-type"] = "application/json", ["ce-specversion"] = "1.0",
      ["ce-id"] = string.format("0198a000-0000-7000-%04x-%012x", 0x8000 + number, i),
      ["ce-source"] = "/orders", ["ce-type"] = "order.created", ["ce-subject"] = "order-" .. (i % 1000),
      ["ce-time"] = "2026-11-23T12:00:00.123456Z",
    }, body)
  end
end
function request() next_one = next_one % 20000 + 1; return requests[next_one] end
"#;

pub(super) fn is_there() -> bool {
    Command::new("wrk").arg("--version").output().is_ok()
}

pub(super) struct Script(tempfile::NamedTempFile);

impl Script {
    pub(super) fn write() -> anyhow::Result<Self> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), SCRIPT)?;
        Ok(Self(file))
    }

    /// Returns the rate of answers; all of them must be 2xx.
    pub(super) fn rate(&self, url: &str, span: Duration) -> anyhow::Result<f64> {
        let output = Command::new("wrk")
            .args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{}s", span.as_secs())])
            .arg("-s")
            .args([self.0.path().as_os_str(), url.as_ref()])
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let failed = text.lines().find(|line| line.contains("Non-2xx") || line.contains("Socket errors"));
        ensure!(failed.is_none(), "{url}: {}", failed.unwrap_or_default().trim());
        let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
        Ok(rate.with_context(|| format!("wrk printed no rate: {text}"))?.trim().parse()?)
    }
}
