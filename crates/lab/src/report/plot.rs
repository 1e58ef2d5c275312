//! Plots as SVG, drawn for a given width so that their labels stay readable on a phone and on paper.

use std::fmt::Write;

/// A plot over time.
#[derive(Debug, Clone)]
pub struct Plot {
    /// What it shows, in words.
    pub title: String,
    /// The unit of its values.
    pub unit: &'static str,
    /// A logarithmic axis, for latencies; needs values above zero.
    pub logarithmic: bool,
    /// Begin and end of the time axis, in seconds.
    pub span: (f64, f64),
    /// What is drawn, the last on top.
    pub lines: Vec<Line>,
    /// Windows in which a fault was active, in seconds.
    pub shaded: Vec<(f64, f64)>,
    /// Where phases begin, in seconds, with their names.
    pub marks: Vec<(f64, String)>,
    /// A bound that an objective declares, drawn over its window: begin, end, value.
    pub bounds: Vec<(f64, f64, f64)>,
}

/// One line of a plot; a missing value is a gap.
#[derive(Debug, Clone)]
pub struct Line {
    /// What it is called in a legend.
    pub name: String,
    /// The class that gives the colour.
    pub class: &'static str,
    /// Seconds and values.
    pub points: Vec<(f64, Option<f64>)>,
}

const LEFT: f64 = 52.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 30.0;
/// Room that one label of the time axis takes.
const LABEL: f64 = 52.0;
/// Width of one letter of a label, generously.
const LETTER: f64 = 7.5;

impl Plot {
    /// Says whether there is anything to draw.
    pub fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| line.points.iter().all(|(_, value)| value.is_none()))
    }

    /// Draws the plot `width` × `height` units large.
    pub fn svg(&self, width: f64, height: f64) -> String {
        let area = Area { plot: self, width, height, y: self.axis() };
        let mut svg = String::new();
        let _ = write!(
            svg,
            r#"<svg viewBox="0 0 {width} {height}" role="img" aria-label="{}">"#,
            escape(&self.title)
        );
        area.shades(&mut svg);
        area.grid(&mut svg);
        area.phases(&mut svg);
        area.bounds(&mut svg);
        area.lines(&mut svg);
        svg.push_str("</svg>");
        svg
    }

    fn axis(&self) -> Axis {
        let values = self.lines.iter().flat_map(|line| line.points.iter().filter_map(|(_, value)| *value));
        let values: Vec<f64> = values.chain(self.bounds.iter().map(|bound| bound.2)).collect();
        let max = values.iter().copied().fold(0.0, f64::max);
        if self.logarithmic {
            let min = values.iter().copied().filter(|v| *v > 0.0).fold(f64::INFINITY, f64::min);
            let min = if min.is_finite() { min } else { 1.0 };
            let low = min.log10().floor();
            let high = max.max(min).log10().ceil().max(low + 1.0);
            return Axis { low, high, logarithmic: true };
        }
        let step = nice_step(max.max(1.0) / 4.0);
        Axis { low: 0.0, high: ((max.max(1.0) / step).ceil() * step).max(step), logarithmic: false }
    }
}

/// The vertical axis; logarithms for a logarithmic one.
struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
}

impl Axis {
    fn share(&self, value: f64) -> f64 {
        let value = if self.logarithmic { value.max(f64::MIN_POSITIVE).log10() } else { value };
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<f64> {
        if self.logarithmic {
            let decades = self.low as i32..=self.high as i32;
            return decades.map(|power| 10_f64.powi(power)).collect();
        }
        let step = nice_step(self.high / 4.0);
        let count = (self.high / step).round() as usize;
        (0..=count).map(|n| n as f64 * step).collect()
    }
}

struct Area<'a> {
    plot: &'a Plot,
    width: f64,
    height: f64,
    y: Axis,
}

impl Area<'_> {
    fn at_x(&self, second: f64) -> f64 {
        let (from, to) = self.plot.span;
        let share = ((second - from) / (to - from).max(0.001)).clamp(0.0, 1.0);
        LEFT + share * (self.width - LEFT - RIGHT)
    }

    fn at_y(&self, value: f64) -> f64 {
        let inner = self.height - TOP - BOTTOM;
        TOP + (1.0 - self.y.share(value)) * inner
    }

    fn shades(&self, svg: &mut String) {
        for (from, to) in &self.plot.shaded {
            let (left, right) = (self.at_x(*from), self.at_x(*to));
            let _ = write!(
                svg,
                r#"<rect class="fault" x="{left:.1}" y="{TOP}" width="{:.1}" height="{:.1}"/>"#,
                (right - left).max(1.0),
                self.height - TOP - BOTTOM
            );
        }
    }

    fn grid(&self, svg: &mut String) {
        let right = self.width - RIGHT;
        for value in self.y.ticks() {
            let y = self.at_y(value);
            let _ = write!(svg, r#"<line class="grid" x1="{LEFT}" x2="{right}" y1="{y:.1}" y2="{y:.1}"/>"#);
            let text = number(value);
            let _ = write!(
                svg,
                r#"<text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{text}</text>"#,
                LEFT - 6.0,
                y + 4.0
            );
        }
        let (from, to) = self.plot.span;
        let room = ((self.width - LEFT - RIGHT) / LABEL).max(2.0);
        let step = nice_step((to - from).max(1.0) / room).max(1.0);
        let mut second = (from / step).ceil() * step;
        while second <= to + 0.001 {
            let x = self.at_x(second);
            let _ = write!(
                svg,
                r#"<text class="tick" x="{x:.1}" y="{:.1}" text-anchor="middle">{} s</text>"#,
                self.height - BOTTOM + 18.0,
                number(second)
            );
            second += step;
        }
    }

    /// Writes each phase's name where it begins, unless it would run into the next.
    fn phases(&self, svg: &mut String) {
        let marks = &self.plot.marks;
        for (index, (from, name)) in marks.iter().enumerate() {
            let x = self.at_x(*from);
            let bottom = self.height - BOTTOM;
            let _ = write!(svg, r#"<line class="phase" x1="{x:.1}" x2="{x:.1}" y1="{TOP}" y2="{bottom}"/>"#);
            let end = marks.get(index + 1).map_or(self.width - RIGHT, |(next, _)| self.at_x(*next));
            if end - x >= name.len() as f64 * LETTER {
                let _ = write!(
                    svg,
                    r#"<text class="tick" x="{:.1}" y="{:.1}">{}</text>"#,
                    x + 3.0,
                    TOP - 7.0,
                    escape(name)
                );
            }
        }
    }

    fn bounds(&self, svg: &mut String) {
        for (from, to, value) in &self.plot.bounds {
            let y = self.at_y(*value);
            let _ = write!(
                svg,
                r#"<line class="bound" x1="{:.1}" x2="{:.1}" y1="{y:.1}" y2="{y:.1}"/>"#,
                self.at_x(*from),
                self.at_x(*to)
            );
        }
    }

    fn lines(&self, svg: &mut String) {
        for line in &self.plot.lines {
            let mut path = String::new();
            let mut pen_down = false;
            for (second, value) in &line.points {
                let Some(value) = value else {
                    pen_down = false;
                    continue;
                };
                let command = if pen_down { 'L' } else { 'M' };
                let _ = write!(path, "{command}{:.1} {:.1}", self.at_x(*second), self.at_y(*value));
                if !pen_down {
                    // A point between two gaps would be invisible without a length.
                    path.push_str("h0.1");
                }
                pen_down = true;
            }
            let _ = write!(svg, r#"<path class="line {}" d="{path}"/>"#, line.class);
        }
    }
}

/// Rounds a step up to 1, 2 or 5 times a power of ten.
fn nice_step(step: f64) -> f64 {
    let magnitude = 10_f64.powf(step.max(1e-9).log10().floor());
    let scaled = step / magnitude;
    let nice = [1.0, 2.0, 5.0, 10.0].into_iter().find(|nice| scaled <= *nice + 1e-9).unwrap_or(10.0);
    nice * magnitude
}

/// Writes a tick's value shortly.
fn number(value: f64) -> String {
    if value >= 10_000.0 {
        format!("{}k", number(value / 1000.0))
    } else if value == value.trunc() {
        format!("{value:.0}")
    } else {
        let text = format!("{value:.3}");
        text.trim_end_matches('0').to_owned()
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(values: &[Option<f64>], logarithmic: bool) -> Plot {
        let points = values.iter().enumerate().map(|(n, value)| (n as f64, *value)).collect();
        Plot {
            title: "latency <of> \"a\"".to_owned(),
            unit: "ms",
            logarithmic,
            span: (0.0, 33.0),
            lines: vec![Line { name: "p50".to_owned(), class: "a", points }],
            shaded: vec![(8.0, 23.0)],
            marks: vec![
                (0.0, "baseline".to_owned()),
                (8.0, "inject".to_owned()),
                (8.5, "recover".to_owned()),
            ],
            bounds: Vec::new(),
        }
    }

    #[test]
    fn a_gap_lifts_the_pen() {
        let svg = plot(&[Some(1.0), Some(2.0), None, Some(3.0)], false).svg(720.0, 200.0);
        assert_eq!(svg.matches('M').count(), 2, "{svg}");
        assert!(svg.contains("latency &lt;of&gt; &quot;a&quot;"));
    }

    #[test]
    fn a_name_that_would_run_into_the_next_is_left_out() {
        let svg = plot(&[Some(1.0)], true).svg(360.0, 200.0);
        assert!(svg.contains(">baseline<"));
        assert!(!svg.contains(">inject<"));
    }

    #[test]
    fn no_value_at_all_is_drawn_without_a_panic() {
        let empty = plot(&[None, None], true);
        assert!(empty.is_empty());
        assert!(empty.svg(360.0, 200.0).contains("<svg"));
    }

    #[test]
    fn steps_are_round() {
        assert_eq!([0.7, 1.0, 1.2, 3.0, 7.0, 42.0].map(nice_step), [1.0, 1.0, 2.0, 5.0, 10.0, 50.0]);
    }
}
