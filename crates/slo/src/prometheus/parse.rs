use std::collections::BTreeMap;
use std::fmt;

/// How many samples one exposition may hold.
pub const SAMPLES_MAX: usize = 50_000;

const LABELS_MAX: usize = 64;

/// What one scrape says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Exposition {
    /// The samples, in the order of the text.
    pub samples: Vec<Sample>,
    /// The kinds that the text declares, by metric.
    pub kinds: BTreeMap<String, Kind>,
}

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Only grows, and starts again at 0 with its process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Everything else: histograms, summaries, untyped.
    Other,
}

/// One value of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric.
    pub name: String,
    /// The labels, sorted by name.
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: f64,
}

impl Sample {
    /// Returns the series' identity, `name{label="value",…}`.
    pub fn series(&self) -> String {
        self.to_string().rsplit_once(' ').map(|(series, _)| series.to_owned()).unwrap_or_default()
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (at, (name, value)) in self.labels.iter().enumerate() {
            let begin = if at == 0 { '{' } else { ',' };
            let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            write!(f, "{begin}{name}=\"{value}\"")?;
        }
        let end = if self.labels.is_empty() { "" } else { "}" };
        write!(f, "{end} {}", self.value)
    }
}

/// An exposition that cannot be read. The process must be mended; scraping again does not help unless its answer was
/// cut off.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct Error {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: &'static str,
}

impl Exposition {
    /// Returns the kind of the metric `name`. Where a counter `x` is declared its sample may be called `x_total`, as
    /// OpenMetrics does it; an undeclared metric whose name ends in `_total` is taken for a counter.
    pub fn kind(&self, name: &str) -> Kind {
        let short = name.strip_suffix("_total");
        let declared = self.kinds.get(name).or_else(|| self.kinds.get(short?));
        let guessed = if short.is_some() { Kind::Counter } else { Kind::Other };
        declared.copied().unwrap_or(guessed)
    }
}

/// Reads Prometheus' text format, version 0.0.4
/// (<https://prometheus.io/docs/instrumenting/exposition_formats/>), and what of OpenMetrics looks the same; exemplars
/// and times are passed over.
///
/// # Errors
/// [`Error`] for a line that is none, and from [`SAMPLES_MAX`] samples on. The whole text is refused then: half a
/// scrape would look like series that went away.
///
/// # Examples
/// ```
/// use steadfast_slo::prometheus::{Kind, parse};
///
/// let text = "# TYPE requests counter\nrequests_total{code=\"200\"} 17 1700000000000\n";
/// let exposition = parse(text)?;
/// assert_eq!(exposition.samples[0].series(), r#"requests_total{code="200"}"#);
/// assert_eq!(exposition.kind("requests_total"), Kind::Counter);
/// # Ok::<(), steadfast_slo::prometheus::Error>(())
/// ```
pub fn parse(text: &str) -> Result<Exposition, Error> {
    let mut exposition = Exposition::default();
    for (index, line) in text.lines().enumerate() {
        let refused = |problem| Error { line: index + 1, problem };
        let line = line.trim();
        if let Some(comment) = line.strip_prefix('#') {
            let mut words = comment.split_whitespace();
            if let (Some("TYPE"), Some(name), Some(kind)) = (words.next(), words.next(), words.next()) {
                let kind = match kind {
                    "counter" => Kind::Counter,
                    "gauge" => Kind::Gauge,
                    _ => Kind::Other,
                };
                exposition.kinds.insert(name.to_owned(), kind);
            }
        } else if !line.is_empty() {
            if exposition.samples.len() == SAMPLES_MAX {
                return Err(refused("more samples than can be kept"));
            }
            exposition.samples.push(sample(line).map_err(refused)?);
        }
    }
    Ok(exposition)
}

fn sample(line: &str) -> Result<Sample, &'static str> {
    let end = line.find(|c: char| c == '{' || c.is_whitespace()).ok_or("there is no value")?;
    let (name, rest) = line.split_at(end);
    if !is_name(name) {
        return Err("the metric's name is none");
    }
    let (labels, rest) = match rest.trim_start().strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (Vec::new(), rest),
    };
    let mut words = rest.split_whitespace();
    let value = match words.next().ok_or("there is no value")? {
        "+Inf" | "Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        word => word.parse().map_err(|_| "the value is not a number")?,
    };
    match words.next() {
        None | Some("#") => {}
        Some(time) if time.parse::<f64>().is_ok() => {}
        Some(_) => return Err("something stands behind the value"),
    }
    Ok(Sample { name: name.to_owned(), labels, value })
}

/// Labels by name, and the rest of the line.
type Labels<'t> = (Vec<(String, String)>, &'t str);

/// Reads labels up to and with the closing brace; returns them and what stands behind.
fn labels(mut rest: &str) -> Result<Labels<'_>, &'static str> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(behind) = rest.strip_prefix('}') {
            labels.sort();
            return Ok((labels, behind));
        }
        let (name, value) = rest.split_once('=').ok_or("the labels are not closed")?;
        let name = name.trim();
        if !is_name(name) {
            return Err("a label's name is none");
        }
        if labels.len() == LABELS_MAX {
            return Err("too many labels");
        }
        let quoted = value.trim_start().strip_prefix('"').ok_or("a label's value is not quoted")?;
        let (value, behind) = unquoted(quoted)?;
        labels.push((name.to_owned(), value));
        rest = behind.trim_start();
        match rest.strip_prefix(',') {
            Some(behind) => rest = behind,
            None if rest.starts_with('}') => {}
            None => return Err("expected `,` or `}` behind a label"),
        }
    }
}

fn unquoted(text: &str) -> Result<(String, &str), &'static str> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped @ ('\\' | '"'))) => value.push(escaped),
                _ => return Err("unknown escape in a label's value"),
            },
            other => value.push(other),
        }
    }
    Err("a label's value is not closed")
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_' || c == ':')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_example_of_the_format_is_read() {
        let text = r#"# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000

# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9
metric_without_timestamp_and_labels 12.47
something_weird{problem="division by zero"} +Inf -3982045
# TYPE rpc_duration_seconds summary
rpc_duration_seconds{quantile="0.01", } 3102
rpc_duration_seconds_count 2693
foo_total 17.0 1520879607.789 # {trace_id="abc"} 1.0
# EOF
"#;
        let exposition = parse(text).expect("is well-formed");
        let series: Vec<String> = exposition.samples.iter().map(Sample::series).collect();
        assert_eq!(
            series,
            [
                r#"http_requests_total{code="200",method="post"}"#,
                r#"http_requests_total{code="400",method="post"}"#,
                r#"msdos_file_access_time_seconds{error="Cannot find file:\n\"FILE.TXT\"",path="C:\\DIR\\FILE.TXT"}"#,
                "metric_without_timestamp_and_labels",
                r#"something_weird{problem="division by zero"}"#,
                r#"rpc_duration_seconds{quantile="0.01"}"#,
                "rpc_duration_seconds_count",
                "foo_total",
            ]
        );
        assert_eq!(exposition.samples[4].value, f64::INFINITY);
        assert_eq!(exposition.kind("http_requests_total"), Kind::Counter);
        assert_eq!(exposition.kind("rpc_duration_seconds"), Kind::Other);
        assert_eq!(exposition.kind("foo_total"), Kind::Counter);
    }

    #[test]
    fn a_line_that_is_none_refuses_the_whole() {
        for line in [
            "a",
            "a{",
            "a{b} 1",
            "a{b=c} 1",
            "a{b=\"c} 1",
            "a{b=\"\\x\"} 1",
            "a{b=\"c\" d=\"e\"} 1",
            "1a 1",
            "a x",
            "a 1 x",
        ] {
            let text = format!("good 1\n{line}\n");
            assert_eq!(parse(&text).expect_err(line).line, 2, "{line}");
        }
        assert!(parse(&"a 1\n".repeat(SAMPLES_MAX)).is_ok());
        assert!(parse(&"a 1\n".repeat(SAMPLES_MAX + 1)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a{}=\"\\\\,# \n1.ü+]{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_written_is_read_back(
            labels in proptest::collection::btree_map("[a-z]{1,3}", ".{0,5}", 0..3),
            value in -1e9_f64..1e9,
        ) {
            let labels: Vec<_> = labels.into_iter().map(|(n, v)| (n, v.replace('\r', ""))).collect();
            let sample = Sample { name: "m".to_owned(), labels, value };
            let text = sample.to_string();
            prop_assume!(text.lines().count() == 1);
            prop_assert_eq!(parse(&text).expect(&text).samples, [sample]);
        }
    }
}
