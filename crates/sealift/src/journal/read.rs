//! Reading the lines of a journal, from one segment to the next, also while it is written.
//!
//! Here: files to lines, bounded. Not here: what a line says. A line without a line feed at the end
//! of the last segment is one that is being written, or was when its writer died.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use sealift_core::event::verify::Place;
use sealift_core::limits;

use super::JournalError;
use super::segments::{self, read_error};

/// Where a line stands, and whether it ends with a line feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinePlace {
    /// Segment and line.
    pub place: Place,
    /// It ends with a line feed.
    pub terminated: bool,
}

/// The lines of some segments, oldest first. A segment that is gone when its turn comes is skipped:
/// it was pruned.
pub struct Lines {
    folder: PathBuf,
    waiting: VecDeque<u32>,
    current: Option<Current>,
}

struct Current {
    number: u32,
    line: u64,
    reader: BufReader<File>,
}

impl Lines {
    /// The lines of every segment in `folder`.
    ///
    /// # Errors
    /// The folder cannot be read, as when there is no journal.
    pub fn all(folder: &Path) -> Result<Self, JournalError> {
        let numbers = segments::numbers(folder).map_err(read_error("read the journal", folder))?;
        Ok(Self::of(folder, numbers))
    }

    /// The lines of the named segments.
    pub(super) fn of(folder: &Path, numbers: impl IntoIterator<Item = u32>) -> Self {
        let waiting = numbers.into_iter().collect();
        Self {
            folder: folder.to_owned(),
            waiting,
            current: None,
        }
    }

    /// Reads the next line into `line`, without its line feed; `None` at the end. A line longer
    /// than [`limits::EVENT_LINE_BYTES_MAX`] comes in pieces, all but the last unterminated.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn next_line(&mut self, line: &mut Vec<u8>) -> Result<Option<LinePlace>, JournalError> {
        loop {
            if self.current.is_none() && !self.advance()? {
                return Ok(None);
            }
            let Some(current) = &mut self.current else {
                return Ok(None);
            };
            let path = segments::path(&self.folder, current.number);
            if let Some(place) = current.next_line(line).map_err(read_error("read", &path))? {
                return Ok(Some(place));
            }
            self.current = None;
        }
    }

    /// Opens the next segment that exists.
    fn advance(&mut self) -> Result<bool, JournalError> {
        while let Some(number) = self.waiting.pop_front() {
            let path = segments::path(&self.folder, number);
            match File::open(&path) {
                Ok(file) => {
                    let reader = BufReader::with_capacity(limits::JOURNAL_BUFFER_BYTES_MAX, file);
                    self.current = Some(Current {
                        number,
                        line: 0,
                        reader,
                    });
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(read_error("open", &path)(error)),
            }
        }
        Ok(false)
    }
}

impl Current {
    fn next_line(&mut self, line: &mut Vec<u8>) -> io::Result<Option<LinePlace>> {
        line.clear();
        let bytes_max = limits::EVENT_LINE_BYTES_MAX as u64 + 1;
        (&mut self.reader).take(bytes_max).read_until(b'\n', line)?;
        if line.is_empty() {
            return Ok(None);
        }
        let terminated = line.last() == Some(&b'\n');
        if terminated {
            line.pop();
        }
        self.line += 1;
        let place = Place {
            segment: self.number,
            line: self.line,
        };
        Ok(Some(LinePlace { place, terminated }))
    }
}
