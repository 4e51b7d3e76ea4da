//! `sealift events follow`: new records as they are written, across rotation and restarts of the
//! writer.

use std::path::Path;
use std::thread;
use std::time::Duration;

use sealift_core::event::Record;
use sealift_core::limits;

use super::filter::Filter;
use super::list::{Last, Rows};
use super::{ListArguments, World};
use crate::exit::Exit;
use crate::journal::tail::Tail;
use crate::output::ignore_closed_pipe;

/// Shows the last `--lines` records and then every new one, until the program is asked to stop or
/// nobody reads any more.
pub(super) fn run(
    arguments: &ListArguments,
    folder: &Path,
    world: &mut World<'_>,
) -> anyhow::Result<Exit> {
    let filter = Filter::new(&arguments.filter, world.now);
    let mut tail = Tail::from_beginning(folder);
    let mut rows = Rows::new(arguments.output.output, world.out);
    let lines_max = arguments.lines.unwrap_or(0);
    let mut last = Last::new(Some(lines_max));
    look(&mut tail, &filter, |record, line| {
        last.hold(record, line, lines_max)
    })?;
    let mut fresh: Vec<(Record, Vec<u8>)> = last.rest().collect();
    loop {
        let shown = fresh
            .drain(..)
            .try_for_each(|(record, line)| rows.add(&record, &line));
        let shown = shown.and_then(|()| rows.flush());
        let gone = shown.is_err();
        ignore_closed_pipe(shown)?;
        if gone || (world.stopped)() {
            return Ok(Exit::Done);
        }
        thread::sleep(Duration::from_millis(limits::FOLLOW_POLL_MS));
        look(&mut tail, &filter, |record, line| {
            fresh.push((record, line.to_vec()))
        })?;
    }
}

fn look(
    tail: &mut Tail,
    filter: &Filter<'_>,
    mut take: impl FnMut(Record, &[u8]),
) -> anyhow::Result<()> {
    tail.look(|line| {
        if let Ok(record) = Record::from_line(line)
            && filter.passes(&record)
        {
            take(record, line);
        }
        Ok(())
    })?;
    Ok(())
}
