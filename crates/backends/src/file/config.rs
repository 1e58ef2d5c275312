use serde::{Deserialize, Serialize};
use steadfast_base::units::Size;

/// How a file log behaves.
///
/// # Examples
/// ```
/// use steadfast_backends::file::Config;
///
/// let config = Config::default();
/// assert_eq!(config.segment_size.to_string(), "64MiB");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// The length of a segment: 4 KiB to 2 GiB, cut to that range. A batch must fit into one. Segments that exist
    /// keep theirs.
    pub segment_size: Size,
    /// How many bytes of encoded events may wait for the writer before an append is refused as overloaded. A
    /// batch is taken when less than this waits, so that one of any size passes in the end.
    pub queue_size_max: Size,
    /// How many of the newest event ids are remembered, to recognise an append that is repeated. Each takes about
    /// 40 bytes of memory.
    pub deduplicated_events: u32,
    /// Archives finished segments in the background, all but so many of the newest: they are compressed, which makes their
    /// files smaller and reading them slower. None archives nothing unless
    /// [`FileLog::archive`](super::FileLog::archive) is called.
    pub archive_behind: Option<u32>,
    /// Prepares the next segment in the background once half of the present one is full. Without it the append
    /// that needs a new segment waits until it is written full of zeros; a simulation wants that, for then the
    /// order of all operations on the disk is the same each time.
    pub prepare_ahead: bool,
    /// Reads and checks every event when the log is opened. Without it the index files of finished segments are believed,
    /// and only the last segment is read; damage in such a segment is then an error of the read that meets it, and
    /// [`survey`](super::survey) looks for it.
    pub verify_on_open: bool,
    /// The number that a new log carries in all its checksums; none draws one.
    pub identity: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            segment_size: Size::from_mebibytes(64),
            queue_size_max: Size::from_mebibytes(16),
            deduplicated_events: 1 << 18,
            archive_behind: None,
            prepare_ahead: true,
            verify_on_open: false,
            identity: None,
        }
    }
}

impl Config {
    /// The length of a new segment in bytes, a multiple of 8.
    pub(crate) fn segment_bytes(&self) -> u64 {
        self.segment_size.bytes().clamp(4 << 10, 2 << 30) & !7
    }
}
