//! A plot as a file of its own: a title, a legend, and colours for light and dark pages.

use std::fmt::Write;

use steadfast_lab::report::plot::Plot;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 240.0;
/// Room for title and legend.
const HEAD: f64 = 52.0;
const LEFT: f64 = 12.0;
/// Width of one letter of the legend, generously.
const LETTER: f64 = 6.8;

/// The classes: `with` and `without` the guard, what is `offered`, a `second` of the same kind.
const STYLE: &str = "
text{font:12px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#57606a}
.title{font-size:14px;font-weight:600;fill:#1f2328}
.grid{stroke:#d8dee4}
.phase{stroke:none}
.bound{stroke:#57606a;stroke-dasharray:2 4;stroke-width:1.5}
.line{fill:none;stroke-width:2;stroke-linejoin:round}
.with{stroke:#0969da}
.without{stroke:#bc4c00}
.offered{stroke:#6e7781;stroke-dasharray:6 4}
.second{stroke:#1a7f37}
.fault{fill:#9a6700;opacity:.12}
@media(prefers-color-scheme:dark){
text{fill:#9198a1}
.title{fill:#f0f6fc}
.grid{stroke:#30363d}
.bound{stroke:#9198a1}
.with{stroke:#58a6ff}
.without{stroke:#f0883e}
.offered{stroke:#9198a1}
.second{stroke:#3fb950}
.fault{fill:#d29922;opacity:.18}
}
";

pub(super) fn svg(plot: &Plot) -> String {
    let all = HEIGHT + HEAD;
    let title = escape(&format!("{}, {}", plot.title, plot.unit));
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {all}" role="img" aria-label="{title}"><style>{STYLE}</style><text class="title" x="{LEFT}" y="20">{title}</text>"#
    );
    let mut x = LEFT;
    let mut entries: Vec<(&str, &str)> =
        plot.lines.iter().map(|line| (line.class, line.name.as_str())).collect();
    entries.extend(plot.marks.first().map(|(_, name)| ("fault", name.as_str())));
    for (class, name) in entries {
        let (mid, end) = (HEAD - 14.0, x + 22.0);
        let _ = if class == "fault" {
            write!(svg, r#"<rect class="fault" x="{x}" y="{}" width="22" height="12"/>"#, mid - 6.0)
        } else {
            write!(svg, r#"<path class="line {class}" d="M{x} {mid}H{end}"/>"#)
        };
        let _ = write!(svg, r#"<text x="{}" y="{}">{}</text>"#, end + 6.0, mid + 4.0, escape(name));
        x = end + 6.0 + name.len() as f64 * LETTER + 18.0;
    }
    // The marks have said what is shaded.
    let plot = Plot { marks: Vec::new(), ..plot.clone() };
    let inner = plot.svg(WIDTH, HEIGHT);
    let place = format!(r#"<svg y="{HEAD}" width="{WIDTH}" height="{HEIGHT}" "#);
    svg.push_str(&inner.replacen("<svg ", &place, 1));
    svg.push_str("</svg>\n");
    svg
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
