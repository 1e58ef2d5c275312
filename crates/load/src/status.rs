use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A set of HTTP status codes, written as a list of codes, ranges and classes: `2xx`, `200-204`, `201, 404`.
///
/// # Examples
/// ```
/// use steadfast_load::StatusSet;
///
/// assert!(StatusSet::default().contains(204));
/// let set: StatusSet = "2xx, 404".parse()?;
/// assert!(set.contains(404) && !set.contains(302));
/// # Ok::<(), steadfast_load::StatusSetError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusSet(Vec<RangeInclusive<u16>>);

/// A text that names no set of statuses. Repeating cannot help; the text must be mended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a set of statuses; write codes, ranges or classes such as 201, 200-204 or 2xx")]
pub struct StatusSetError(pub String);

impl StatusSet {
    /// Says whether `status` is in the set.
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

/// All of 2xx.
impl Default for StatusSet {
    fn default() -> Self {
        Self(vec![200..=299])
    }
}

impl FromStr for StatusSet {
    type Err = StatusSetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let code = |text: &str| text.trim().parse().ok().filter(|code| (100..=599).contains(code));
        let range = |item: &str| match item.strip_suffix("xx") {
            Some(class) => {
                let class = class.parse::<u16>().ok().filter(|class| (1..=5).contains(class))?;
                Some(class * 100..=class * 100 + 99)
            }
            None => {
                let (first, last) = item.split_once('-').unwrap_or((item, item));
                let (first, last) = (code(first)?, code(last)?);
                (first <= last).then_some(first..=last)
            }
        };
        let ranges: Option<Vec<_>> = text.split(',').map(|item| range(item.trim())).collect();
        ranges.map(Self).ok_or_else(|| StatusSetError(text.to_owned()))
    }
}

impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let (first, last) = (range.start(), range.end());
            f.write_str(if index > 0 { ", " } else { "" })?;
            match (first % 100, last - first) {
                (0, 99) => write!(f, "{}xx", first / 100)?,
                (_, 0) => write!(f, "{first}")?,
                _ => write!(f, "{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_read_and_written() {
        for text in ["2xx", "200, 404", "200-204, 5xx"] {
            assert_eq!(text.parse::<StatusSet>().map(|set| set.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "20", "6xx", "xx", "204-200", "200,", "ok"] {
            assert!(text.parse::<StatusSet>().is_err(), "{text}");
        }
    }
}
