//! What opening a log does: read every frame, cut a torn tail, refuse damage, rebuild the index.
//!
//! Each frame tells up to where the log was durable when it was written. A frame that is not valid is a torn tail
//! if no valid frame anywhere tells that the log was durable beyond it: nobody was promised what is lost. It is
//! damage otherwise.

use std::io;
use std::sync::Arc;

use steadfast_base::disk::DiskFile;
use steadfast_core::store::{Error, Outcome};

use super::clearing::Clearing;
use super::config::Config;
use super::erased::Erased;
use super::format::archive::Archive;
use super::format::deletion::Deletion;
use super::format::frame::{self, Frame, Invalid, Kind};
use super::format::record::Record;
use super::format::segment::{self, Header, HeaderError};
use super::format::{Offset, VERSION, VERSION_MIN};
use super::index::{Added, Ids, Index};
use super::sealed::{PartFile, Sealed, Snapshot};
use super::segments::{Segments, Start};
use super::shared::damage;
use super::window::Window;

/// How much is read at once.
const READ: usize = 1 << 20;
/// How much is read to see what a segment begins with.
const LOOK: usize = 4 << 10;

/// A log as it was found and put in order.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) index: Index,
    /// The segment to go on in, opened for writing.
    pub(super) file: Box<dyn DiskFile>,
    pub(super) header: Header,
    /// Where the next frame goes, and the position of its first event.
    pub(super) tail: Offset,
    pub(super) next: u64,
    /// The last frame says itself that all before it was durable.
    pub(super) clean: bool,
    /// What of the index is on the disk.
    pub(super) sealed: Sealed,
    /// Up to where the log is told to be durable.
    pub(super) told: Offset,
}

/// Opens the log in the folder of `segments`, or makes one. The caller holds the lock.
pub(super) fn recover(segments: &Segments, config: &Config) -> Result<Recovered, Error> {
    let headers = list(segments)?;
    let Some(first) = headers.first() else { return create(segments, config) };
    let mut scan = Scan {
        segments,
        identity: first.identity,
        window: Window::new(READ.min(first.size as usize)),
        index: Index::new(config.deduplicated_events),
        next: 1,
        tail: Offset::start_of(1),
        durable: Offset::start_of(1),
        last_is_mark: false,
        sealed: Sealed::default(),
    };
    if !config.verify_on_open {
        scan.adopt(&headers, config)?;
    }
    let problem = scan.frames(&headers)?;
    let behind = scan.refuse_damage(&headers, problem)?;
    scan.forget_erased()?;
    scan.cut(&headers, &behind, config)
}

fn create(segments: &Segments, config: &Config) -> Result<Recovered, Error> {
    let identity = config.identity.unwrap_or_else(|| steadfast_base::Seed::random().value());
    let header = Header { version: VERSION, number: 1, size: config.segment_bytes(), identity };
    let file = segments
        .prepare(&header)
        .map_err(|error| Error::io("making the first segment of the log", error, Outcome::NotAppended))?;
    let index = Index::new(config.deduplicated_events);
    let (tail, sealed) = (Offset::start_of(1), Sealed::default());
    Ok(Recovered { index, file, header, tail, next: 1, clean: true, sealed, told: tail })
}

/// Reads the header of the newest segment of a log that is there.
pub(super) fn newest_header(segments: &Segments) -> Result<Header, Error> {
    let files = segments.disk().list(segments.folder()).map_err(opening)?;
    let newest = files.iter().filter_map(|file| segment::number(file)).max();
    let none = || opening(io::Error::new(io::ErrorKind::NotFound, "no log is in this folder"));
    read_header(segments, newest.ok_or_else(none)?, None)
}

/// Reads the headers of all segments, removes what was being prepared, and makes the folder's entries durable.
fn list(segments: &Segments) -> Result<Vec<Header>, Error> {
    let disk = segments.disk();
    let mut headers: Vec<Header> = Vec::new();
    for file in disk.list(segments.folder()).map_err(opening)? {
        if file.ends_with(".new") {
            disk.remove(&segments.folder().join(file)).map_err(opening)?;
        } else if let Some(number) = segment::number(&file) {
            if number as usize != headers.len() + 1 {
                let missing = segment::name(headers.len() as u32 + 1);
                return Err(damaged(format!("segment {missing}"), "it is missing".to_owned()));
            }
            headers.push(read_header(segments, number, headers.first())?);
        }
    }
    // A process that died after a rename may have left an entry which only the cache knows.
    disk.sync_dir(segments.folder()).map_err(opening)?;
    Ok(headers)
}

pub(super) fn read_header(segments: &Segments, number: u32, first: Option<&Header>) -> Result<Header, Error> {
    let broken =
        |problem: String| Err(damaged(format!("segment {} at byte 0", segment::name(number)), problem));
    let (start, file) = segments.start(number).map_err(opening)?;
    let (decoded, archived) = match &start {
        Start::Plain(bytes) => (Header::decode(bytes), None),
        Start::Archived(Some(Archive { number, size, identity, .. })) => {
            let header = Header { version: VERSION, number: *number, size: *size, identity: *identity };
            (Ok(header), Some(*size))
        }
        Start::Archived(None) => {
            return broken("the header of the archived segment is not valid".to_owned());
        }
    };
    let header = match decoded {
        Ok(header) => header,
        Err(HeaderError::Version(version)) => {
            let what = format!(
                "format version {version} of a log; this program reads versions {VERSION_MIN} to {VERSION}"
            );
            return Err(Error::Unsupported { what });
        }
        Err(HeaderError::Invalid) => return broken("the header is not valid".to_owned()),
    };
    // That an archived segment is whole is looked at when it is read.
    let length = archived.map_or_else(|| file.length(), Ok).map_err(opening)?;
    if header.number != number || first.is_some_and(|first| first.identity != header.identity) {
        return broken("it belongs to another log, or has another number".to_owned());
    }
    if length != header.size || header.size > u64::from(u32::MAX) {
        return broken(format!("it should be {} bytes long and is {length}", header.size));
    }
    Ok(header)
}

/// What is written behind the last valid frame.
#[derive(Debug)]
struct Behind {
    /// Where it ends in the segment of that frame.
    end: Offset,
    /// How much of it is in each later segment.
    later: Vec<u64>,
}

struct Scan<'a> {
    segments: &'a Segments,
    identity: u64,
    window: Window,
    index: Index,
    next: u64,
    /// Behind the last valid frame.
    tail: Offset,
    /// The furthest that any valid frame says was durable.
    durable: Offset,
    last_is_mark: bool,
    sealed: Sealed,
}

impl Scan<'_> {
    /// Takes what the index files say of the first segments, which need not be read then. Where one of them is not what
    /// it was, the segments are read.
    fn adopt(&mut self, headers: &[Header], config: &Config) -> Result<(), Error> {
        let parts = self.parts(headers)?;
        match adopted(self.segments, self.identity, &parts, config) {
            Ok((index, sealed)) => {
                (self.index, self.sealed) = (index, sealed);
                self.next = parts.last().map_or(1, |last| last.next());
                self.tail = Offset::start_of(parts.len() as u32 + 1);
                self.durable = self.tail;
                Ok(())
            }
            Err(Error::Damaged { place, problem }) => {
                tracing::warn!(place, problem, "the index is made again from the log");
                (self.next, self.tail) = (1, Offset::start_of(1));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Opens the index files of the first segments: those that are followed by the segment that is due. The last one is
    /// still written to, whatever there is.
    fn parts(&mut self, headers: &[Header]) -> Result<Vec<Arc<PartFile>>, Error> {
        let mut parts: Vec<Arc<PartFile>> = Vec::new();
        for header in headers {
            let next = parts.last().map_or(1, |part| part.next());
            let part = PartFile::open(self.segments, header.number, self.identity).map_err(opening)?;
            let Some(part) = part.filter(|part| part.first() == next) else { break };
            parts.push(Arc::new(part));
        }
        // A file that fits tells that its segment is the one which is due after the part before. Of the last one the
        // segments tell; that it is of the last segment of all happens where what was behind it is gone.
        let ahead = std::mem::replace(&mut self.window, Window::new(LOOK));
        while let Some(part) = parts.last() {
            (self.next, self.tail) = (part.next(), part.end());
            if self.goes_on(part.number() + 1, headers)? {
                break;
            }
            parts.pop();
        }
        self.window = ahead;
        Ok(parts)
    }

    /// Takes all frames up to the first that is not there, and says why it is not.
    fn frames(&mut self, headers: &[Header]) -> Result<Invalid, Error> {
        loop {
            let at = self.tail;
            let file = self.segments.reader(at.segment()).map_err(opening)?;
            let problem = match self.window.frame(&*file, self.identity, at).map_err(opening)? {
                Ok(frame) => {
                    let length = frame.length;
                    self.last_is_mark = frame.is_mark(at);
                    self.durable = self.durable.max(frame.durable);
                    take(frame, at, &mut self.index, &mut self.next)
                        .map_err(|problem| damaged(at.to_string(), problem))?;
                    self.tail = at.plus(length);
                    continue;
                }
                Err(problem) => problem,
            };
            // The rest of a segment stays empty where a frame did not fit.
            if problem != Invalid::Empty || !self.goes_on(at.segment() + 1, headers)? {
                return Ok(problem);
            }
            self.tail = Offset::start_of(at.segment() + 1);
        }
    }

    /// Says whether segment `number` starts with the frame that is due.
    fn goes_on(&mut self, number: u32, headers: &[Header]) -> Result<bool, Error> {
        if number as usize > headers.len() {
            return Ok(false);
        }
        let file = self.segments.reader(number).map_err(opening)?;
        let found = self.window.frame(&*file, self.identity, Offset::start_of(number)).map_err(opening)?;
        Ok(found.is_ok_and(|frame| frame.first == self.next && frame.durable <= self.tail))
    }

    /// Forgets deletions of which nothing is left in the segments.
    fn forget_erased(&self) -> Result<(), Error> {
        match Erased::load(self.segments, self.identity).map_err(opening)? {
            Some(erased) if erased.position <= self.next => {
                self.index.deletions.forget(|_, deleted| deleted.at < erased.position);
                Ok(())
            }
            // The segments are older than the note, a backup perhaps: it would be believed when they have grown.
            Some(_) => Erased::remove(self.segments).map_err(opening),
            None => Ok(()),
        }
    }

    /// Looks behind the tail for frames that say the log was durable beyond it, and says what is there if none does.
    fn refuse_damage(&mut self, headers: &[Header], problem: Invalid) -> Result<Behind, Error> {
        let tail = self.tail;
        let mut behind = Behind { end: tail, later: Vec::new() };
        for header in &headers[tail.segment() as usize - 1..] {
            let start = if header.number == tail.segment() { tail } else { Offset::start_of(header.number) };
            let file = self.segments.reader(header.number).map_err(opening)?;
            let (window, identity) = (&mut self.window, self.identity);
            let (mut witness, mut written) = (None, 0);
            visit_written(&*file, start, header.size, &mut |at| {
                written += 1;
                if start == tail {
                    behind.end = at.plus(frame::ALIGNMENT);
                }
                if let Ok(frame) = window.frame(&*file, identity, at)?
                    && frame.durable > tail
                {
                    witness.get_or_insert(at);
                }
                Ok(())
            })
            .map_err(opening)?;
            if let Some(witness) = witness {
                let (place, what) = self.place_of_damage(headers, problem)?;
                let what = format!("{what}, though the frame in {witness} says it was durable");
                return Err(damaged(place.to_string(), what));
            }
            if header.number > tail.segment() {
                behind.later.push(written);
            }
        }
        Ok(behind)
    }

    /// Says where the frame should be that is not there: behind the last one, or, where that segment is full, at
    /// the start of the next.
    fn place_of_damage(&self, headers: &[Header], problem: Invalid) -> Result<(Offset, &'static str), Error> {
        let mut window = Window::new(frame::HEADER);
        let next = Offset::start_of(self.tail.segment() + 1);
        if problem == Invalid::Empty && next.segment() as usize <= headers.len() {
            let file = self.segments.reader(next.segment()).map_err(opening)?;
            if let Err(Invalid::Broken(what)) = window.frame(&*file, self.identity, next).map_err(opening)? {
                return Ok((next, what));
            }
        }
        match problem {
            Invalid::Empty => Ok((self.tail, "a frame is missing")),
            Invalid::Broken(what) => Ok((self.tail, what)),
        }
    }

    /// Removes the torn tail, so that nothing of it can be taken for a frame later, and makes what is left
    /// durable.
    fn cut(self, headers: &[Header], behind: &Behind, config: &Config) -> Result<Recovered, Error> {
        let Self { segments, tail, durable, index, next, sealed, .. } = self;
        let header = headers[tail.segment() as usize - 1];
        let mut cut = 0;
        // Newest first: segments must never have a gap. A prepared one of another kind is made again.
        for (later, written) in headers[tail.segment() as usize..].iter().zip(&behind.later).rev() {
            let as_new = Header { size: config.segment_bytes(), version: VERSION, ..*later };
            if *written > 0 || *later != as_new || later.number > tail.segment() + 1 {
                cut += written;
                segments.remove(later.number).map_err(opening)?;
            }
        }
        // Where what stood behind it is lost, the log goes on in a segment that may be archived.
        let expanded = segments.expand(header.number, tail.byte().into()).map_err(opening)?;
        let file = segments.writer(header.number).map_err(opening)?;
        let file = file.ok_or_else(|| opening(io::ErrorKind::NotFound.into()))?;
        let clearing = Clearing::new(segments);
        let unsure = clearing.has_begun().map_err(opening)?;
        let written = if expanded { tail } else { behind.end };
        // If an earlier clearing was not finished, the zeros that are seen may be in the page cache alone.
        let end = if unsure { Offset::new(header.number, header.size as u32) } else { written };
        cut += u64::from(end.byte() - tail.byte());
        if end > tail {
            clearing.begin(unsure).map_err(opening)?;
            write_zeros(&*file, tail, end).map_err(opening)?;
        }
        if cut > 0 {
            tracing::warn!(at = %tail, position = next - 1, "cut a torn tail, which nobody was promised");
        }
        // A sync that failed may have left pages which count as clean: only writing them again makes them durable.
        let start = durable.max(Offset::start_of(header.number));
        rewrite(&*file, header.identity, start, tail).map_err(opening)?;
        file.sync_data().map_err(opening)?;
        if end > tail || unsure {
            clearing.end().map_err(opening)?;
        }
        let clean = cut == 0 && self.last_is_mark;
        Ok(Recovered { index, file, header, tail, next, clean, sealed, told: durable })
    }
}

/// Makes the index of a log out of the index files of its first segments.
fn adopted(
    segments: &Segments,
    identity: u64,
    parts: &[Arc<PartFile>],
    config: &Config,
) -> Result<(Index, Sealed), Error> {
    let streams = || streams_of(segments, identity, parts, config.deduplicated_events);
    let ids = || ids_of(segments, parts, config.deduplicated_events);
    let (adopted, ids) = match config.prepare_ahead {
        // Each takes as long as the other.
        true => std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("log-ids".to_owned()).spawn_scoped(scope, ids);
            let thread = thread.map_err(opening)?;
            let adopted = streams();
            Ok::<_, Error>((adopted, thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))))
        })?,
        false => (streams(), ids()),
    };
    let (mut index, sealed) = adopted?;
    index.ids = ids?;
    Ok((index, sealed))
}

/// Makes an index without identities.
fn streams_of(
    segments: &Segments,
    identity: u64,
    parts: &[Arc<PartFile>],
    ids_max: u32,
) -> Result<(Index, Sealed), Error> {
    let mut index = Index::new(ids_max);
    let mut sealed = Sealed { number: parts.len() as u32, ..Sealed::default() };
    if let Some(snapshot) = Snapshot::load(segments, identity)?
        && let Some(last) = snapshot.number().checked_sub(1)
        && parts.get(last as usize).is_some_and(|part| snapshot.ends_with(part))
        && snapshot.note(&mut index).is_some()
    {
        (sealed.covered, sealed.streams) = (snapshot.number(), snapshot.count());
    }
    for part in &parts[sealed.covered as usize..] {
        part.note_streams(segments, &mut index)?;
        sealed.since += part.counts().1;
    }
    for part in parts {
        index.parts.adopt(Arc::clone(part));
    }
    Ok((index, sealed))
}

/// Returns the newest identities.
fn ids_of(segments: &Segments, parts: &[Arc<PartFile>], ids_max: u32) -> Result<Ids, Error> {
    let mut ids = Ids::new(ids_max);
    let mut events: u64 = parts.iter().map(|part| part.counts().0).sum();
    ids.reserve(usize::try_from(events).unwrap_or(usize::MAX));
    for part in parts {
        let behind = events - part.counts().0;
        let wanted = u64::from(ids_max).saturating_sub(behind);
        if wanted > 0 {
            part.note_ids(segments, wanted, &mut ids)?;
        }
        events = behind;
    }
    Ok(ids)
}

/// Takes the events of a valid frame into the index.
pub(super) fn take(frame: Frame<'_>, at: Offset, index: &mut Index, next: &mut u64) -> Result<(), String> {
    if frame.first != *next {
        return Err(format!("a frame starts with position {} where {next} is due", frame.first));
    }
    if frame.durable > at {
        return Err("a frame says that more was durable than was written".to_owned());
    }
    index.add_frame(at, frame.length, frame.count > 0);
    let mut rest = frame.payload;
    if frame.kind == Kind::Deletions {
        return take_deletions(rest, frame.count, at, index);
    }
    for at in 0..frame.count {
        let record = Record::take(&mut rest).map_err(|_| format!("event {next} is malformed"))?;
        let number = index.streams.number_of(record.stream);
        let revision = index.streams.take_revisions(number, 1);
        if revision != record.revision {
            let problem = format!("event {next} has revision {} where {revision} is due", record.revision);
            return Err(problem);
        }
        let (first, last) = (at == 0, at + 1 == frame.count);
        index.add_event(number, Added { id: record.id, revision, first, last });
        *next += 1;
    }
    if rest.is_empty() { Ok(()) } else { Err("a frame holds more than its events".to_owned()) }
}

/// Takes what a frame of deletions says into the index.
fn take_deletions(mut payload: &[u8], events: u32, at: Offset, index: &mut Index) -> Result<(), String> {
    while !payload.is_empty() {
        let deletion = Deletion::take(&mut payload).map_err(|_| "a deletion is malformed".to_owned())?;
        let number = index.streams.number_of(deletion.stream);
        let due = index.streams.entry(number).next_revision;
        if deletion.below != due {
            let below = deletion.below;
            return Err(format!("a stream is deleted up to revision {below} where {due} is due"));
        }
        index.delete(number, at);
    }
    if events == 0 { Ok(()) } else { Err("a frame holds deletions and events".to_owned()) }
}

/// Calls `visit` for every aligned place from `start` to `size` where something was written that could be the
/// first bytes of a frame or part of one.
pub(super) fn visit_written(
    file: &dyn DiskFile,
    start: Offset,
    size: u64,
    visit: &mut dyn FnMut(Offset) -> io::Result<()>,
) -> io::Result<()> {
    const BLOCK: usize = 4096;
    let zeros = [0; BLOCK];
    let mut at = u64::from(start.byte());
    let mut bytes = vec![0; READ.min(size.saturating_sub(at) as usize)];
    while at < size {
        let wanted = ((size - at) as usize).min(bytes.len());
        let count = file.read_at(&mut bytes[..wanted], at)?;
        if count == 0 {
            break;
        }
        for (number, block) in bytes[..count].chunks(BLOCK).enumerate() {
            if *block == zeros[..block.len()] {
                continue;
            }
            for (word, content) in block.chunks(frame::ALIGNMENT).enumerate() {
                if content.iter().any(|byte| *byte != 0) {
                    let byte = at as usize + number * BLOCK + word * frame::ALIGNMENT;
                    visit(Offset::new(start.segment(), byte as u32))?;
                }
            }
        }
        at += count as u64;
    }
    Ok(())
}

fn write_zeros(file: &dyn DiskFile, start: Offset, end: Offset) -> io::Result<()> {
    let length = u64::from(end.byte() - start.byte());
    let zeros = vec![0; READ.min(length as usize)];
    let mut done = 0;
    while done < length {
        let count = (length - done).min(zeros.len() as u64);
        file.write_all_at(&zeros[..count as usize], u64::from(start.byte()) + done)?;
        done += count;
    }
    Ok(())
}

/// Writes again the frames between two places, after another look at each: what a failed sync has left in the cache
/// may have been dropped from it since it was read first.
fn rewrite(file: &dyn DiskFile, identity: u64, start: Offset, end: Offset) -> io::Result<()> {
    let mut at = start;
    let mut bytes = Vec::new();
    let mut need = READ;
    while at < end {
        let left = (end.byte() - at.byte()) as usize;
        bytes.resize(need.min(left), 0);
        let count = file.read_at(&mut bytes, at.byte().into())?;
        let mut whole = 0;
        while whole < count {
            let claimed = frame::claimed_length(&bytes[whole..count]).unwrap_or(usize::MAX);
            if claimed > count - whole {
                break;
            }
            if frame::parse(&bytes[whole..count], identity, at.plus(whole)).is_err() {
                return Err(changed(at.plus(whole)));
            }
            whole += claimed;
        }
        if whole == 0 {
            if need >= left {
                return Err(changed(at));
            }
            need = left.min(need.saturating_mul(2));
            continue;
        }
        file.write_all_at(&bytes[..whole], at.byte().into())?;
        at = at.plus(whole);
    }
    Ok(())
}

fn changed(at: Offset) -> io::Error {
    io::Error::other(format!(
        "{at}: a frame that a failed sync has left is gone from the page cache; open the log again"
    ))
}

pub(super) fn opening(error: io::Error) -> Error {
    damage(&error).unwrap_or_else(|| Error::io("opening the log", error, Outcome::NotAppended))
}

pub(super) fn damaged(place: String, problem: String) -> Error {
    Error::Damaged { place, problem }
}
