//! Cutting a log off at its first damage, with a copy of all that is cut.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use steadfast_base::disk::{Disk, OpenMode, RealDisk};
use steadfast_base::units::Size;
use steadfast_core::store::{Error, Outcome};

use super::config::Config;
use super::delete_again::DeleteAgain;
use super::erased::Erased;
use super::format::segment::{self, Header};
use super::format::{Offset, frame};
use super::log::{FileLog, lock};
use super::recovery::read_header;
use super::segments::Segments;
use super::survey::{Damage, Survey, survey_on};

/// How much is copied at once.
const CHUNK: usize = 1 << 20;

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// The damage at which the log was cut.
    pub damage: Damage,
    /// How many events behind it could still be read and are in the copy only.
    pub events_cut: u64,
    /// How many streams had been deleted behind it, and were deleted again in what is left.
    pub streams_deleted: u64,
    /// The folder with copies of all files that were changed or removed.
    pub copy: PathBuf,
}

/// Cuts the log in `folder` off at its first damage, and returns none if there is no damage. It blocks.
///
/// Before anything is changed, every segment from the damaged one on is copied into a new folder `cut-N` of the log's
/// own, and synced. **Positions behind the cut are given again** to what is appended next: whoever has read beyond it
/// must start over. Streams that were deleted behind the cut are deleted again; where a repair dies between the two, or
/// has no room for it, whoever opens the log next does it. The copies hold whatever the segments held, also what was deleted and not erased.
///
/// # Errors
/// [`Error::Locked`] when the log is open for writing; [`Error::Io`] and [`Error::Full`], after which the log may have
/// been cut in part and repair can be repeated; those of [`survey`](super::survey). Where a file cannot be read, which
/// says nothing of what is in it, nothing is cut: [`Error::Io`]. [`Error::Damaged`] where damage is left after the log was
/// cut, which is a defect; the copy is there then.
pub fn repair(folder: impl AsRef<Path>) -> Result<Option<Repaired>, Error> {
    repair_on(Arc::new(RealDisk), folder)
}

/// Cuts the log in `folder` of `disk` off at its first damage.
///
/// # Errors
/// Those of [`repair`].
#[allow(clippy::needless_pass_by_value, reason = "as for opening a log")]
pub fn repair_on(disk: Arc<dyn Disk>, folder: impl AsRef<Path>) -> Result<Option<Repaired>, Error> {
    let folder = folder.as_ref();
    // Before the lock, which would be made where there is no log.
    survey_on(Arc::clone(&disk), folder)?;
    let lock = lock(&*disk, folder)?;
    let survey = survey_on(Arc::clone(&disk), folder)?;
    let segments = Segments::new(Arc::clone(&disk), folder.to_owned());
    let (identity, size) = identity(&segments, &survey);
    let config = Config { segment_size: Size::from_bytes(size), ..Config::default() };
    let mut again = DeleteAgain::load(&segments, identity)?;
    if let Some(unreadable) = survey.damages.iter().find(|damage| damage.unreadable) {
        // IMPORTANT: What is in it may be whole, and so may be all behind it.
        let problem = format!("`{}`: {}", unreadable.segment, unreadable.problem);
        return Err(repairing(io::Error::other(problem)));
    }
    // Of what is not in a segment, such as a note that could not be read for a moment, there is nothing to cut.
    let damage = survey.damages.first().cloned();
    let damage = damage.and_then(|damage| segment::number(&damage.segment).map(|number| (damage, number)));
    let Some((damage, number)) = damage else {
        if !again.is_empty() {
            // An earlier repair has come no further.
            FileLog::open_locked(segments, lock, &config)?.0.close_now()?;
        }
        return Ok(None);
    };
    let cut_at = Offset::new(number, damage.byte as u32);
    for (stream, (_, below)) in survey.deletions.iter().filter(|(_, (at, _))| *at >= cut_at) {
        again.add(stream, *below);
    }
    if cut_at <= Offset::start_of(1) {
        // Nothing is left.
        again.streams.clear();
    }
    // Positions are given again, and it is by position that the note tells what is erased.
    Erased::remove(&segments).map_err(repairing)?;
    // Those too of which nothing could be read.
    let files = segments.disk().list(segments.folder()).map_err(repairing)?;
    let mut affected: Vec<u32> = files.iter().filter_map(|file| segment::number(file)).collect();
    affected.retain(|affected| *affected >= number);
    affected.sort_unstable();
    let copy = copy(&*disk, folder, &affected).map_err(repairing)?;
    match again.is_empty() {
        true => DeleteAgain::remove(&segments),
        false => again.store(&segments),
    }
    .map_err(repairing)?;
    // Where nothing is left of a segment it goes too; the log goes on behind the one before.
    let whole = damage.byte == 0 || (number > 1 && cut_at <= Offset::start_of(number));
    // Newest first: segments must never have a gap.
    for later in affected.iter().rev().filter(|affected| **affected > number || whole) {
        segments.remove(*later).map_err(repairing)?;
    }
    if !whole {
        cut(&segments, cut_at, identity, damage.position).map_err(repairing)?;
    }
    check(&disk, folder)?;
    let events_cut = (survey.events + survey.deleted + 1).saturating_sub(damage.position);
    let mut streams_deleted = 0;
    if !again.is_empty() {
        let (log, deleted) = FileLog::open_locked(segments, lock, &config)?;
        streams_deleted = deleted;
        log.close_now()?;
    }
    Ok(Some(Repaired { damage, events_cut, streams_deleted, copy }))
}

/// Checks that no damage is left: nobody may be told so who would then do without the copies.
fn check(disk: &Arc<dyn Disk>, folder: &Path) -> Result<(), Error> {
    let left = match survey_on(Arc::clone(disk), folder) {
        Ok(left) => left,
        // Nothing is left at all.
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    left.damages.into_iter().next().map_or(Ok(()), |Damage { segment, byte, problem, .. }| {
        let problem = format!("{problem}; the log was cut, and this is left");
        Err(Error::Damaged { place: format!("{segment} at byte {byte}"), problem })
    })
}

/// The number that all segments carry which are not damaged, and the length of one of them.
fn identity(segments: &Segments, survey: &Survey) -> (u64, u64) {
    let numbers = survey.segments.iter().filter_map(|survey| segment::number(&survey.file));
    let header = numbers.filter_map(|number| read_header(segments, number, None).ok()).next();
    header.map_or((0, 0), |Header { identity, size, .. }| (identity, size))
}

/// Copies segments into a new folder and makes the copies durable.
fn copy(disk: &dyn Disk, folder: &Path, numbers: &[u32]) -> io::Result<PathBuf> {
    let mut attempt = 1;
    let target = loop {
        let target = folder.join(format!("cut-{attempt}"));
        match disk.list(&target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => break target,
            Err(error) => return Err(error),
            Ok(_) => attempt += 1,
        }
    };
    disk.create_dir_all(&target)?;
    let mut bytes = vec![0; CHUNK];
    for number in numbers {
        let name = segment::name(*number);
        let from = disk.open(&folder.join(&name), OpenMode::Read)?;
        let to = disk.open(&target.join(&name), OpenMode::CreateNew)?;
        let mut at = 0;
        loop {
            let count = from.read_at(&mut bytes, at)?;
            if count == 0 {
                break;
            }
            to.write_all_at(&bytes[..count], at)?;
            at += count as u64;
        }
        to.sync_data()?;
    }
    disk.sync_dir(&target)?;
    disk.sync_dir(folder)?;
    Ok(target)
}

/// Writes zeros from `at` to the end of the segment, and a mark that all before it is durable.
fn cut(segments: &Segments, at: Offset, identity: u64, next: u64) -> io::Result<()> {
    segments.remove_index(at.segment())?;
    segments.expand(at.segment(), at.byte().into())?;
    let file = segments.writer(at.segment())?.ok_or(io::ErrorKind::NotFound)?;
    let size = file.length()?;
    let zeros = vec![0; CHUNK];
    let mut byte = u64::from(at.byte());
    while byte < size {
        let count = (size - byte).min(CHUNK as u64);
        file.write_all_at(&zeros[..count as usize], byte)?;
        byte += count;
    }
    file.sync_data()?;
    if u64::from(at.byte()) + frame::HEADER as u64 <= size {
        let mut mark = Vec::new();
        frame::begin(&mut mark);
        frame::end(&mut mark, 0, next, 0);
        frame::seal(&mut mark, identity, at, at);
        file.write_all_at(&mark, at.byte().into())?;
        file.sync_data()?;
    }
    Ok(())
}

fn repairing(error: io::Error) -> Error {
    Error::io("repairing the log", error, Outcome::NotAppended)
}
