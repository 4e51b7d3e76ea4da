//! The files of a journal: their names, the one that is appended to, and the deletion of old ones.
//!
//! Here: bytes and files. Not here: what the bytes say, but for the position of a segment's last
//! record.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use sealift_core::event::Glance;
use sealift_core::event::verify::Place;

use super::JournalError;
use super::read::Lines;

/// The segments of one folder. The last one is appended to; it is opened, or made, at the first
/// write.
pub(super) struct Segments {
    folder: PathBuf,
    retained: VecDeque<Segment>,
    current: Option<File>,
}

/// One file.
#[derive(Debug, Clone, Copy)]
struct Segment {
    number: u32,
    bytes: u64,
}

/// Bytes that could not be written.
pub(super) struct Unwritten {
    pub(super) error: JournalError,
    /// The file is known to hold none of them, so that they may be written again.
    pub(super) whole: bool,
}

impl Segments {
    /// The segments that exist, by number. Other files are left alone.
    pub(super) fn list(folder: PathBuf) -> Result<Self, JournalError> {
        let mut retained = VecDeque::new();
        for number in numbers(&folder).map_err(read_error("read the folder", &folder))? {
            let path = path(&folder, number);
            let bytes = fs::metadata(&path)
                .map_err(read_error("read", &path))?
                .len();
            retained.push_back(Segment { number, bytes });
        }
        Ok(Self {
            folder,
            retained,
            current: None,
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn numbers(&self) -> impl DoubleEndedIterator<Item = u32> {
        self.retained.iter().map(|segment| segment.number)
    }

    pub(super) fn last_number(&self) -> Option<u32> {
        self.retained.back().map(|segment| segment.number)
    }

    /// The number of the segment that is, or will be, appended to.
    pub(super) fn current_number(&self) -> u32 {
        self.last_number().unwrap_or(1)
    }

    pub(super) fn current_bytes(&self) -> u64 {
        self.retained.back().map_or(0, |segment| segment.bytes)
    }

    /// Appends to the current segment. After a failure the file is cut back to what it held before.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Unwritten> {
        if bytes.is_empty() {
            return Ok(());
        }
        let whole = |error| Unwritten { error, whole: true };
        if self.current.is_none() {
            self.open_current().map_err(whole)?;
        }
        let path = path(&self.folder, self.current_number());
        let (Some(file), Some(segment)) = (&mut self.current, self.retained.back_mut()) else {
            return Ok(());
        };
        if let Err(source) = file.write_all(bytes) {
            let whole = file.set_len(segment.bytes).is_ok();
            return Err(Unwritten {
                error: write_error("write", &path)(source),
                whole,
            });
        }
        segment.bytes += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn sync(&self) -> Result<(), JournalError> {
        let Some(file) = &self.current else {
            return Ok(());
        };
        let path = path(&self.folder, self.current_number());
        file.sync_data()
            .map_err(write_error("write to the disk", &path))
    }

    /// Makes the next segment the current one.
    pub(super) fn begin_next(&mut self) -> Result<(), JournalError> {
        let number = self.current_number().saturating_add(1);
        self.create(number)
    }

    /// The oldest segment but the current one, if all together hold more than `bytes_max`.
    pub(super) fn oldest_above(&self, bytes_max: u64) -> Option<(u32, u64)> {
        let total: u64 = self.retained.iter().map(|segment| segment.bytes).sum();
        let oldest = self
            .retained
            .front()
            .filter(|_| total > bytes_max && self.retained.len() > 1);
        oldest.map(|segment| (segment.number, segment.bytes))
    }

    /// The position of the last record of a segment: one below the first record of the next. 0 if
    /// that is unreadable.
    pub(super) fn sequence_last_of(&self, number: u32) -> u64 {
        let next = self.numbers().find(|&other| other > number);
        let first = next.and_then(|next| {
            let mut line = Vec::new();
            Lines::of(&self.folder, [next])
                .next_line(&mut line)
                .ok()??;
            serde_json::from_slice::<Glance>(&line).ok()
        });
        first.map_or(0, |glance| glance.sequence.saturating_sub(1))
    }

    pub(super) fn delete_oldest(&mut self) -> Result<(), JournalError> {
        if let Some(segment) = self.retained.front() {
            let path = path(&self.folder, segment.number);
            fs::remove_file(&path).map_err(write_error("delete", &path))?;
            self.retained.pop_front();
        }
        Ok(())
    }

    /// Shortens the last segment to `bytes`, or deletes it if nothing is left.
    pub(super) fn cut_last(&mut self, bytes: u64) -> Result<(), JournalError> {
        let Some(segment) = self.retained.back_mut() else {
            return Ok(());
        };
        let path = path(&self.folder, segment.number);
        if bytes == 0 {
            fs::remove_file(&path).map_err(write_error("delete", &path))?;
            self.retained.pop_back();
            return sync_folder(&self.folder);
        }
        segment.bytes = bytes;
        let file = OpenOptions::new().write(true).open(&path);
        file.and_then(|file| file.set_len(bytes).and_then(|()| file.sync_all()))
            .map_err(write_error("cut", &path))
    }

    fn open_current(&mut self) -> Result<(), JournalError> {
        let Some(segment) = self.retained.back() else {
            return self.create(1);
        };
        let path = path(&self.folder, segment.number);
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(write_error("open", &path))?;
        self.current = Some(file);
        Ok(())
    }

    fn create(&mut self, number: u32) -> Result<(), JournalError> {
        let path = path(&self.folder, number);
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(write_error("create", &path))?;
        sync_folder(&self.folder)?;
        self.retained.push_back(Segment { number, bytes: 0 });
        self.current = Some(file);
        Ok(())
    }
}

/// The file of one segment.
pub(super) fn path(folder: &Path, number: u32) -> PathBuf {
    folder.join(name(number))
}

/// The name of a segment's file.
fn name(number: u32) -> String {
    Place {
        segment: number,
        line: 0,
    }
    .file()
}

/// The numbers of the segments in a folder, ascending.
pub(super) fn numbers(folder: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let file = entry?.file_name();
        let number = file
            .to_str()
            .and_then(|name| name.strip_suffix(".jsonl")?.parse().ok());
        numbers.extend(number.filter(|&number| Some(name(number).as_str()) == file.to_str()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// An error of the system while reading a path.
pub(super) fn read_error(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Read {
        action,
        path,
        source,
    }
}

/// An error of the system while changing a path.
fn write_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Write {
        action,
        path,
        source,
    }
}

/// Makes the creation or deletion of files durable.
fn sync_folder(folder: &Path) -> Result<(), JournalError> {
    File::open(folder)
        .and_then(|file| file.sync_all())
        .map_err(write_error("write to the disk", folder))
}
