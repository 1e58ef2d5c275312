use std::io::{self, BufRead, Read};

/// The longest line, without its end, 65,536 bytes.
pub const LINE_MAX: usize = 64 * 1024;

/// What was read of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A whole line, without its end; the last one may lack it.
    Whole(Vec<u8>),
    /// A line of more than the bytes allowed.
    TooLong,
    /// The peer has closed.
    End,
}

/// Reads one line of at most `max` bytes and holds no more than that.
pub(super) fn read(from: &mut impl BufRead, max: usize) -> io::Result<Line> {
    let mut line = Vec::new();
    from.take(max as u64 + 1).read_until(b'\n', &mut line)?;
    match line.pop() {
        None => Ok(Line::End),
        Some(b'\n') => Ok(Line::Whole(line)),
        Some(_) if line.len() >= max => Ok(Line::TooLong),
        Some(last) => {
            line.push(last);
            Ok(Line::Whole(line))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_bounded() {
        let mut from: &[u8] = b"abc\nabcd\nabcde\n";
        assert_eq!(read(&mut from, 4).expect("read"), Line::Whole(b"abc".to_vec()));
        assert_eq!(read(&mut from, 4).expect("read"), Line::Whole(b"abcd".to_vec()));
        assert_eq!(read(&mut from, 4).expect("read"), Line::TooLong);
        let mut from: &[u8] = b"abcd";
        assert_eq!(read(&mut from, 4).expect("read"), Line::Whole(b"abcd".to_vec()));
        assert_eq!(read(&mut from, 4).expect("read"), Line::End);
    }
}
