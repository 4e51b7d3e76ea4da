//! Following a journal while another process writes it: across rotation, pruning and restarts.
//!
//! Here: which whole lines are new since the last look. Not here: waiting between looks, and what a
//! line says. Only whole lines are taken, so a torn one that the next start cuts was never seen.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use sealift_core::limits;

use super::JournalError;
use super::segments::{self, read_error};

/// A place in a journal that is being written.
pub struct Tail {
    folder: PathBuf,
    /// Segments up to this number are done with.
    done: u32,
    current: Option<Current>,
}

/// The segment that is read, and the bytes of it that were taken.
struct Current {
    number: u32,
    file: File,
    taken: u64,
}

impl Tail {
    /// Begins at the oldest line. The folder need not exist yet.
    #[must_use]
    pub fn from_beginning(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            done: 0,
            current: None,
        }
    }

    /// Gives every whole line that was added since the last look, without its line feed, to `take`.
    ///
    /// # Errors
    /// A file cannot be read, or `take` fails.
    pub fn look(
        &mut self,
        mut take: impl FnMut(&[u8]) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        if self
            .current
            .as_ref()
            .is_some_and(|current| current.taken == 0)
        {
            // A start deletes a segment that holds no whole line, and may make it anew.
            self.current = None;
        }
        loop {
            // Looked for before reading: what is in the current segment then is all it will ever
            // hold.
            let next = self.next_number()?;
            if let Some(current) = &mut self.current {
                current.read(&self.folder, &mut take)?;
            }
            let Some(number) = next else { return Ok(()) };
            let path = segments::path(&self.folder, number);
            match File::open(&path) {
                Ok(file) => {
                    self.done = number.saturating_sub(1);
                    self.current = Some(Current {
                        number,
                        file,
                        taken: 0,
                    });
                }
                // Pruned between the two: go on with what is there.
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.done = number,
                Err(error) => return Err(read_error("open", &path)(error)),
            }
        }
    }

    /// The first segment behind the current one.
    fn next_number(&self) -> Result<Option<u32>, JournalError> {
        let numbers = match segments::numbers(&self.folder) {
            Ok(numbers) => numbers,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(read_error("read the folder", &self.folder)(error)),
        };
        let after = self
            .current
            .as_ref()
            .map_or(self.done, |current| current.number.max(self.done));
        Ok(numbers.into_iter().find(|&number| number > after))
    }
}

impl Current {
    fn read(
        &mut self,
        folder: &Path,
        take: &mut impl FnMut(&[u8]) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        let path = segments::path(folder, self.number);
        let failed = |error| read_error("read", &path)(error);
        self.file
            .seek(SeekFrom::Start(self.taken))
            .map_err(failed)?;
        let mut reader = BufReader::with_capacity(limits::JOURNAL_BUFFER_BYTES_MAX, &self.file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let bytes_max = limits::EVENT_LINE_BYTES_MAX as u64 + 1;
            let failed = |error| read_error("read", &path)(error);
            let read = (&mut reader)
                .take(bytes_max)
                .read_until(b'\n', &mut line)
                .map_err(failed)?;
            let whole = line.last() == Some(&b'\n');
            if !whole && read as u64 != bytes_max {
                return Ok(());
            }
            self.taken += read as u64;
            if whole {
                line.pop();
                take(&line)?;
            }
        }
    }
}
