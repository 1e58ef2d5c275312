//! Looking at all of a log without changing it: what is in it, and what is wrong with it.
//!
//! Unlike opening, it does not stop at the first damage: it looks for the next valid frame and goes on from there.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use steadfast_base::disk::{Disk, DiskFile, RealDisk};
use steadfast_core::store::Error;

use super::delete_again::{self, DeleteAgain};
use super::format::Offset;
use super::format::deletion::Deletion;
use super::format::frame::{Frame, Invalid, Kind};
use super::format::record::Record;
use super::format::segment::{self, Header};
use super::recovery::{opening, read_header, visit_written};
use super::segments::{Segments, Stored};
use super::shared::damage;
use super::window::Window;

/// How much is read at once.
const READ: usize = 1 << 20;
/// More damages are not told apart; the log needs its backup then.
const DAMAGES_MAX: usize = 1000;

/// What a log holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Survey {
    /// Its segments in order.
    pub segments: Vec<SegmentSurvey>,
    /// How many events can be read, those behind damage included.
    pub events: u64,
    /// How many events were deleted.
    pub deleted: u64,
    /// How many of these were erased too. The others are still in the files, though nobody reads them.
    pub erased: u64,
    /// How many batches they were appended in.
    pub batches: u64,
    /// The position of the first event, if there is one.
    pub first: Option<u64>,
    /// The position of the newest event, 0 for an empty log.
    pub head: u64,
    /// The streams that have events, by name.
    pub streams: Vec<StreamSurvey>,
    /// The log was closed, or nothing was appended since it was opened: all that it holds is known to be durable.
    pub clean: bool,
    /// What is wrong, in order.
    pub damages: Vec<Damage>,
    /// What nobody was promised and the next opening cuts; also a batch that is being written right now.
    pub torn_tail: Option<TornTail>,
    /// Deleted streams that a repair has brought back and could not delete again, by name. The next repair or opening for
    /// writing does; until then the log is not opened read-only.
    pub to_delete_again: Vec<String>,
    /// Where each stream was deleted last, and below which revision.
    #[serde(skip)]
    pub(super) deletions: BTreeMap<String, (Offset, u64)>,
}

/// One segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SegmentSurvey {
    /// The name of its file.
    pub file: String,
    /// How long the file is in bytes.
    pub bytes: u64,
    /// It is archived: compressed, and therefore shorter than what it holds.
    pub archived: bool,
    /// How many bytes header and valid frames have, before they are compressed.
    pub used: u64,
    /// How many events it holds, those that were deleted included.
    pub events: u64,
    /// The position of the first of them.
    pub first: Option<u64>,
}

/// One stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamSurvey {
    /// Its name.
    pub name: String,
    /// How many of its events can be read.
    pub events: u64,
    /// The revision of the newest.
    pub revision: u64,
}

/// A place where something is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Damage {
    /// The file of the segment, or the note `delete-again`.
    pub segment: String,
    /// The byte in it; of an archived one, the byte before it was archived.
    pub byte: u64,
    /// The first position that may be missing.
    pub position: u64,
    /// What is wrong.
    pub problem: String,
    /// The file could not be read, which says nothing of what is in it: it may be whole.
    pub unreadable: bool,
}

/// Where the log ends before its files do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TornTail {
    /// The file of the segment.
    pub segment: String,
    /// The byte in it.
    pub byte: u64,
}

/// Reads all of the log in `folder`, which may be written to meanwhile, and changes nothing. It blocks.
///
/// # Errors
/// [`Error::Io`] with [`io::ErrorKind::NotFound`] when no log is there; [`Error::Unsupported`] for a later format. What
/// is damaged or cannot be read is in the survey.
pub fn survey(folder: impl AsRef<Path>) -> Result<Survey, Error> {
    survey_on(Arc::new(RealDisk), folder)
}

/// Reads all of the log in `folder` of `disk`.
///
/// # Errors
/// Those of [`survey`].
pub fn survey_on(disk: Arc<dyn Disk>, folder: impl AsRef<Path>) -> Result<Survey, Error> {
    let segments = Segments::new(disk, folder.as_ref().to_owned()).lenient();
    let mut found = Surveyor::survey(&segments)?;
    // What looked like damage may have been half-way through being written; damage stays where it is.
    while !found.damages.is_empty() {
        let again = Surveyor::survey(&segments)?;
        if again.damages.first() == found.damages.first() {
            return Ok(again);
        }
        found = again;
    }
    Ok(found)
}

/// What was counted so far.
#[derive(Debug, Clone, Default)]
struct Counts {
    events: u64,
    deleted: u64,
    erased: u64,
    batches: u64,
    first: Option<u64>,
    head: u64,
    /// By name, how many and the revision that is due.
    streams: HashMap<Arc<str>, (u64, u64)>,
    deletions: BTreeMap<String, (Offset, u64)>,
    segments: BTreeMap<u32, SegmentSurvey>,
}

/// A place without a valid frame, behind which there may be others. What was counted up to there is what counts if
/// nobody tells that it was durable.
#[derive(Debug)]
struct Gap {
    at: Offset,
    problem: String,
    before: Counts,
}

struct Surveyor<'a> {
    segments: &'a Segments,
    counts: Counts,
    gaps: Vec<Gap>,
    damages: Vec<Damage>,
    durable: Offset,
    last_is_mark: bool,
    /// Something is missing, so that neither positions nor revisions need follow on.
    lossy: bool,
}

impl<'a> Surveyor<'a> {
    fn survey(segments: &'a Segments) -> Result<Survey, Error> {
        let files = segments.disk().list(segments.folder()).map_err(opening)?;
        let numbers: Vec<u32> = files.iter().filter_map(|file| segment::number(file)).collect();
        let Some(last) = numbers.last() else {
            return Err(opening(io::Error::new(io::ErrorKind::NotFound, "no log is in this folder")));
        };
        let headers = numbers.iter().map(|number| (*number, read_header(segments, *number, None)));
        let headers: BTreeMap<u32, Result<Header, Error>> = headers.collect();
        let later = headers.values().find(|header| matches!(header, Err(Error::Unsupported { .. })));
        if let Some(Err(later)) = later {
            return Err(later.clone());
        }
        let identity = headers.values().find_map(|header| header.as_ref().ok()).map(|header| header.identity);
        let mut surveyor = Self {
            segments,
            counts: Counts::default(),
            gaps: Vec::new(),
            damages: Vec::new(),
            durable: Offset::start_of(1),
            last_is_mark: false,
            lossy: false,
        };
        for number in 1..=*last {
            let problem = match headers.get(&number) {
                None => Some("it is missing".to_owned()),
                Some(Err(Error::Damaged { problem, .. })) => Some(problem.clone()),
                Some(Err(error)) => {
                    surveyor.unreadable(number, reason(error));
                    continue;
                }
                Some(Ok(header)) if Some(header.identity) != identity => {
                    Some("it belongs to another log".to_owned())
                }
                Some(Ok(_)) => None,
            };
            let known = problem.is_some();
            if let Some(problem) = problem {
                surveyor.damage(Offset::new(number, 0), problem, None);
                surveyor.lossy = true;
            }
            if let (Some(identity), true) = (identity, headers.contains_key(&number))
                && let Err(error) = surveyor.segment(number, identity)
            {
                match damage(&error) {
                    Some(_) if known => {}
                    Some(Error::Damaged { problem, .. }) => {
                        surveyor.damage(Offset::new(number, 0), problem, None);
                        surveyor.lossy = true;
                    }
                    _ => surveyor.unreadable(number, error.to_string()),
                }
            }
        }
        let again = identity.map(|identity| DeleteAgain::load(segments, identity)).transpose();
        let mut found = surveyor.finish();
        match again {
            Ok(again) => found.to_delete_again = again.map(DeleteAgain::into_names).unwrap_or_default(),
            Err(error) => {
                let (problem, unreadable) = match &error {
                    Error::Damaged { problem, .. } => (problem.clone(), false),
                    error => (cannot_be_read(reason(error)), true),
                };
                let (segment, position) = (delete_again::NAME.to_owned(), found.head + 1);
                found.damages.push(Damage { segment, byte: 0, position, problem, unreadable });
            }
        }
        Ok(found)
    }

    /// Takes all valid frames of a segment.
    fn segment(&mut self, number: u32, identity: u64) -> io::Result<()> {
        let segments = self.segments;
        segments.forget(number);
        let file = segments.reader(number)?;
        let size = file.length()?.min(u64::from(u32::MAX));
        let used = segment::HEADER as u64;
        let Stored { archived, bytes } = segments.stored(number)?;
        let file_name = segment::name(number);
        let survey = SegmentSurvey { file: file_name, bytes, archived, used, events: 0, first: None };
        self.counts.segments.insert(number, survey);
        let mut window = Window::new(READ.min(size as usize));
        let mut at = Offset::start_of(number);
        while u64::from(at.byte()) < size {
            let problem = match window.frame(&*file, identity, at)? {
                Ok(frame) => {
                    at = self.frame(frame, at);
                    continue;
                }
                Err(problem) => problem,
            };
            let (next, written) = next_frame(&*file, &mut window, identity, at, size)?;
            if written {
                let what = match problem {
                    Invalid::Empty => "a frame is missing",
                    Invalid::Broken(what) => what,
                };
                self.gap(at, what.to_owned());
            }
            match next {
                Some(next) => at = next,
                None => break,
            }
        }
        Ok(())
    }

    /// Counts a valid frame and returns where it ends.
    fn frame(&mut self, frame: Frame<'_>, at: Offset) -> Offset {
        let end = at.plus(frame.length);
        let due = self.counts.head + 1;
        if frame.first != due && !self.lossy {
            self.damage(at, format!("a frame starts with position {} where {due} is due", frame.first), None);
            self.lossy = true;
        }
        if frame.durable > at {
            self.damage(at, "a frame says that more was durable than was written".to_owned(), None);
        } else if frame.durable > self.durable {
            self.durable = frame.durable;
            self.confirm_gaps();
        }
        self.last_is_mark = frame.is_mark(at);
        if frame.first.saturating_sub(1) > self.counts.head {
            self.counts.head = frame.first - 1;
        }
        // Where one of them is wrong, none of the frame can be kept.
        let first = self.counts.head + 1;
        let mut rest = frame.payload;
        if frame.kind == Kind::Deletions {
            self.deletions(rest, at);
        }
        for _ in 0..frame.count {
            let Ok(record) = Record::take(&mut rest) else {
                self.damage(at, format!("event {} is malformed", self.counts.head + 1), Some(first));
                self.lossy = true;
                break;
            };
            self.event(&record, at, first);
        }
        self.counts.batches += u64::from(frame.count > 0);
        if let Some(segment) = self.counts.segments.get_mut(&at.segment()) {
            segment.used += frame.length as u64;
            segment.events += u64::from(frame.count);
            if frame.count > 0 {
                segment.first.get_or_insert(frame.first);
            }
        }
        end
    }

    fn deletions(&mut self, mut payload: &[u8], at: Offset) {
        while !payload.is_empty() {
            let Ok(Deletion { stream, below }) = Deletion::take(&mut payload) else {
                return self.damage(at, "a deletion is malformed".to_owned(), None);
            };
            let (count, due) = self.counts.streams.entry(stream.into()).or_default();
            let expected = std::mem::replace(due, below);
            let events = std::mem::take(count);
            self.counts.events -= events;
            self.counts.deleted += events;
            self.counts.deletions.insert(stream.to_owned(), (at, below));
            if below != expected && !(self.lossy && below > expected) {
                let problem = format!("a stream is deleted up to revision {below} where {expected} is due");
                self.damage(at, problem, None);
            }
        }
    }

    fn event(&mut self, record: &Record<'_>, at: Offset, first: u64) {
        self.counts.head += 1;
        let there = u64::from(!record.erased);
        self.counts.events += there;
        self.counts.deleted += 1 - there;
        self.counts.erased += 1 - there;
        let position = self.counts.head;
        self.counts.first.get_or_insert(position);
        if !self.counts.streams.contains_key(record.stream) {
            self.counts.streams.insert(record.stream.into(), (0, 0));
        }
        let Some((count, due)) = self.counts.streams.get_mut(record.stream) else { return };
        *count += there;
        let expected = std::mem::replace(due, record.revision.saturating_add(1));
        if record.revision != expected && !(self.lossy && record.revision > expected) {
            let problem =
                format!("event {position} has revision {} where {expected} is due", record.revision);
            self.damage(at, problem, Some(first));
        }
    }

    fn gap(&mut self, at: Offset, problem: String) {
        self.lossy = true;
        self.gaps.push(Gap { at, problem, before: self.counts.clone() });
    }

    /// Makes damage of the gaps which turn out to have been durable.
    fn confirm_gaps(&mut self) {
        let durable = self.durable;
        let confirmed = self.gaps.partition_point(|gap| gap.at < durable);
        for gap in self.gaps.drain(..confirmed).collect::<Vec<_>>() {
            self.damage(gap.at, gap.problem, Some(gap.before.head + 1));
        }
    }

    fn damage(&mut self, at: Offset, problem: String, position: Option<u64>) {
        self.note(at, problem, position, false);
    }

    /// Notes that a segment could not be read.
    fn unreadable(&mut self, number: u32, reason: impl fmt::Display) {
        self.note(Offset::new(number, 0), cannot_be_read(reason), None, true);
        self.lossy = true;
    }

    fn note(&mut self, at: Offset, problem: String, position: Option<u64>, unreadable: bool) {
        if self.damages.len() < DAMAGES_MAX {
            self.damages.push(Damage {
                segment: segment::name(at.segment()),
                byte: at.byte().into(),
                position: position.unwrap_or(self.counts.head + 1),
                problem,
                unreadable,
            });
        }
    }

    fn finish(mut self) -> Survey {
        let torn = self.gaps.drain(..).next();
        let clean = self.last_is_mark && torn.is_none() && self.damages.is_empty();
        let (counts, torn_tail) = match torn {
            Some(Gap { at, mut before, .. }) => {
                // Segments that hold nothing but what was torn are there all the same.
                for (number, later) in self.counts.segments {
                    let empty =
                        SegmentSurvey { used: segment::HEADER as u64, events: 0, first: None, ..later };
                    before.segments.entry(number).or_insert(empty);
                }
                let torn = TornTail { segment: segment::name(at.segment()), byte: at.byte().into() };
                (before, Some(torn))
            }
            None => (self.counts, None),
        };
        self.damages.sort_by(|a, b| (&a.segment, a.byte).cmp(&(&b.segment, b.byte)));
        let mut streams: Vec<StreamSurvey> = counts
            .streams
            .into_iter()
            .filter(|(_, (events, _))| *events > 0)
            .map(|(name, (events, due))| StreamSurvey {
                name: name.to_string(),
                events,
                revision: due.saturating_sub(1),
            })
            .collect();
        streams.sort_by(|a, b| a.name.cmp(&b.name));
        Survey {
            segments: counts.segments.into_values().collect(),
            events: counts.events,
            deleted: counts.deleted,
            erased: counts.erased,
            batches: counts.batches,
            first: counts.first,
            head: counts.head,
            streams,
            clean,
            damages: self.damages,
            torn_tail,
            to_delete_again: Vec::new(),
            deletions: counts.deletions,
        }
    }
}

fn cannot_be_read(reason: impl fmt::Display) -> String {
    format!("it cannot be read: {reason}")
}

/// What the operating system said, where it said something.
fn reason(error: &Error) -> String {
    match error {
        Error::Io { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}

/// Finds the next valid frame behind `at`, and says whether anything is written from there on.
fn next_frame(
    file: &dyn DiskFile,
    window: &mut Window,
    identity: u64,
    at: Offset,
    size: u64,
) -> io::Result<(Option<Offset>, bool)> {
    let (mut found, mut written) = (None, false);
    visit_written(file, at, size, &mut |place| {
        written = true;
        if found.is_none() && window.frame(file, identity, place)?.is_ok() {
            found = Some(place);
        }
        Ok(())
    })?;
    Ok((found, written))
}
