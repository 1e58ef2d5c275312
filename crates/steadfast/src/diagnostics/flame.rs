//! A flame graph (Gregg, *The Flame Graph*, Communications of the ACM 59.6, 2016) as a picture of its own: the wider a
//! box, the more often its function was on the stack; what it called stands above it.

use std::fmt::Write as _;

use super::stacks::Stacks;

const WIDTH: f64 = 1200.0;
const MARGIN: f64 = 10.0;
const ROW: f64 = 17.0;
const HEAD: f64 = 44.0;
/// A narrower box says nothing, and there can be very many.
const NARROWEST: f64 = 1.0;
/// Deeper frames are left out.
const DEPTH_MAX: usize = 300;
/// About the width of a letter.
const LETTER: f64 = 6.6;

/// A stack, and how often it was seen.
type Seen<'a> = (&'a [String], u64);

/// Draws `stacks` under a headline.
pub(super) fn svg(stacks: &Stacks, title: &str) -> String {
    // In the order of their frames, so that those which share their first frames stand together: no tree is needed.
    let seen: Vec<Seen<'_>> = stacks.0.iter().map(|(stack, count)| (stack.as_slice(), *count)).collect();
    let total = stacks.samples();
    let scale = (WIDTH - 2.0 * MARGIN) / total.max(1) as f64;
    let rows = rows(&seen, 0, scale);
    let height = HEAD + rows as f64 * ROW + MARGIN;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"monospace\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fcfcf8\"/>\n\
         <text x=\"{}\" y=\"26\" font-size=\"15\" text-anchor=\"middle\">{}</text>\n",
        WIDTH / 2.0,
        escaped(title)
    );
    Painter { svg: &mut text, scale, base: height - MARGIN, total }.paint("all", &seen, 0, MARGIN);
    text.push_str("</svg>\n");
    text
}

fn samples(seen: &[Seen<'_>]) -> u64 {
    seen.iter().map(|(_, count)| count).sum()
}

/// Returns the frames that stand on frame `depth`, each with the stacks that go through it.
fn calls<'s, 'a>(seen: &'s [Seen<'a>], depth: usize) -> impl Iterator<Item = (&'a str, &'s [Seen<'a>])> {
    let frame = move |(stack, _): &Seen<'a>| stack.get(depth).filter(|_| depth < DEPTH_MAX);
    seen.chunk_by(move |one, other| frame(one) == frame(other))
        .filter_map(move |group| Some((frame(&group[0])?.as_str(), group)))
}

/// Returns how many rows of boxes there are.
fn rows(seen: &[Seen<'_>], depth: usize, scale: f64) -> usize {
    let wide = calls(seen, depth).filter(|(_, group)| samples(group) as f64 * scale >= NARROWEST);
    1 + wide.map(|(_, group)| rows(group, depth + 1, scale)).max().unwrap_or(0)
}

struct Painter<'a> {
    svg: &'a mut String,
    /// The width of a sample.
    scale: f64,
    /// Where the lowest row ends.
    base: f64,
    total: u64,
}

impl Painter<'_> {
    /// Paints a box for the stacks that share what is below, and all that stands on it.
    fn paint(&mut self, name: &str, seen: &[Seen<'_>], depth: usize, x: f64) {
        let samples = samples(seen);
        let width = samples as f64 * self.scale;
        if width < NARROWEST {
            return;
        }
        self.paint_box(name, samples, (x, self.base - (depth + 1) as f64 * ROW, width));
        let mut x = x;
        for (name, group) in calls(seen, depth) {
            self.paint(name, group, depth + 1, x);
            x += self::samples(group) as f64 * self.scale;
        }
    }

    fn paint_box(&mut self, name: &str, samples: u64, (x, y, width): (f64, f64, f64)) {
        let (full, share) = (escaped(name), 100.0 * samples as f64 / self.total.max(1) as f64);
        let _ = write!(
            self.svg,
            "<g><title>{full} ({samples} samples, {share:.2} %)</title>\
             <rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{:.1}\" rx=\"1\" fill=\"{}\"/>",
            ROW - 1.0,
            color(name)
        );
        let letters = ((width - 4.0) / LETTER) as usize;
        if letters >= 3 {
            let (x, y) = (x + 2.0, y + 12.0);
            let _ =
                write!(self.svg, "<text x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escaped(&cut(name, letters)));
        }
        self.svg.push_str("</g>\n");
    }
}

/// Cuts a name to so many letters.
fn cut(name: &str, letters: usize) -> String {
    if name.chars().count() <= letters {
        return name.to_owned();
    }
    name.chars().take(letters - 2).chain("..".chars()).collect()
}

/// Returns a warm color that is always the same for a function.
fn color(name: &str) -> String {
    let hash =
        name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let part = |shift: u32, least: u32, span: u32| least + (hash >> shift & 0xff) * span / 255;
    format!("rgb({},{},{})", part(0, 215, 40), part(8, 110, 100), part(16, 40, 50))
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            letter if letter.is_control() => escaped.push('\u{fffd}'),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stacks(lines: &[(&str, u64)]) -> Stacks {
        let parse = |line: &str| line.split(';').map(str::to_owned).collect();
        Stacks(lines.iter().map(|(line, count)| (parse(line), *count)).collect())
    }

    /// Returns x and width of the box with this title.
    fn place(svg: &str, name: &str) -> Option<(f64, f64)> {
        let from = svg.find(&format!("<title>{name} ("))?;
        let number = |key: &str| -> f64 {
            let at = from + svg[from..].find(key).expect("an attribute") + key.len();
            svg[at..].split('"').next().expect("its end").parse().expect("a number")
        };
        Some((number("x=\""), number("width=\"")))
    }

    #[test]
    fn boxes_are_as_wide_as_their_share_and_stand_on_their_callers() {
        let svg =
            svg(&stacks(&[("main;work;hash", 60), ("main;work;parse", 20), ("main;rest", 20)]), "a < b");
        assert!(svg.contains("a &lt; b") && svg.ends_with("</svg>\n"));
        let (x, width) = place(&svg, "main").expect("there");
        assert_eq!((x, width), (10.0, 1180.0));
        assert_eq!(place(&svg, "rest"), Some((10.0, 236.0)));
        assert_eq!(place(&svg, "work"), Some((246.0, 944.0)));
        assert_eq!(place(&svg, "parse"), Some((954.0, 236.0)));
    }

    #[test]
    fn a_picture_is_bounded_however_many_stacks_there_are() {
        let many: Vec<(String, u64)> = (0..20_000)
            .map(|n| ((0..300).map(|depth| format!("f{depth}_{n}")).collect::<Vec<_>>().join(";"), 1))
            .collect();
        let many: Vec<(&str, u64)> = many.iter().map(|(line, count)| (line.as_str(), *count)).collect();
        let svg = svg(&stacks(&many), "many");
        assert!(svg.len() < 10_000, "what is too narrow is left out: {}", svg.len());
        let deep = svg_of_one(&vec!["f"; 1000].join(";"));
        assert_eq!(deep.matches("<title>f (").count(), DEPTH_MAX);
        assert!(super::svg(&Stacks::default(), "none").ends_with("</svg>\n"));
    }

    fn svg_of_one(line: &str) -> String {
        svg(&stacks(&[(line, 1)]), "one")
    }
}
