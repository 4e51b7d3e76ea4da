//! The check of a whole journal: which records were altered, removed, reordered or rewritten since
//! they were written.
//!
//! Here: one pass over lines in file order, in constant memory but for anchors and findings. Not
//! here: files and Git.
//!
//! What it can see: any change between two points that are known from elsewhere. Inside the journal
//! each record is vouched for by the hash in the next one. A chain that was computed anew, and a
//! cut end, are seen only against anchors: heads that stand outside, in the trailers of commits.
//! What comes after the last anchor is vouched for by nothing.

mod finding;

use std::collections::{BTreeMap, BTreeSet};

use super::{Body, Glance, Head, Record, RecordHash};
use crate::limits;

pub use finding::{Anchor, Finding, Place, Report};

/// A check under way.
pub struct Verifier {
    anchors: BTreeMap<u64, Vec<Anchor>>,
    report: Report,
    journals: BTreeSet<u64>,
    last: Option<Last>,
    first_place: Option<Place>,
    run: Option<Run>,
    gaps: Vec<Gap>,
    unreadable: u64,
    rewritten: Vec<Finding>,
}

/// The record with the highest position so far.
#[derive(Clone, Copy)]
struct Last {
    head: Head,
    place: Place,
}

/// Neighbours whose hashes do not fit: one broken link, or several in a row.
#[derive(Clone, Copy)]
struct Run {
    first: u64,
    first_place: Place,
    /// The last record that has a broken link to the next one.
    last: u64,
}

/// Positions that no record had when their turn came.
struct Gap {
    from: u64,
    to: u64,
    place: Place,
}

impl Verifier {
    /// A check against some anchors, at most [`limits::ANCHORS_MAX`] of them.
    #[must_use]
    pub fn new(anchors: impl IntoIterator<Item = Anchor>) -> Self {
        let mut by_sequence: BTreeMap<u64, Vec<Anchor>> = BTreeMap::new();
        for anchor in anchors.into_iter().take(limits::ANCHORS_MAX) {
            by_sequence
                .entry(anchor.head.sequence)
                .or_default()
                .push(anchor);
        }
        Self {
            anchors: by_sequence,
            report: Report::default(),
            journals: BTreeSet::new(),
            last: None,
            first_place: None,
            run: None,
            gaps: Vec::new(),
            unreadable: 0,
            rewritten: Vec::new(),
        }
    }

    /// Takes the next line, without its line feed. `terminated`: there was one.
    pub fn line(&mut self, place: Place, terminated: bool, line: &[u8]) {
        if let Some(torn) = self.report.torn.take() {
            self.unreadable(torn);
        }
        if !terminated {
            self.report.torn = Some(place);
            return;
        }
        match serde_json::from_slice::<Glance>(line) {
            Ok(glance) => self.record(place, &glance, line),
            Err(_) => self.unreadable(place),
        }
    }

    /// Ends the check.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.close_run(true);
        for gap in std::mem::take(&mut self.gaps) {
            self.find(Finding::Missing {
                from: gap.from,
                to: gap.to,
                place: gap.place,
            });
        }
        self.check_beginning();
        self.check_rewritten();
        self.check_end();
        self.report
    }

    fn unreadable(&mut self, place: Place) {
        self.unreadable += 1;
        self.find(Finding::Unreadable { place });
    }

    fn record(&mut self, place: Place, glance: &Glance, line: &[u8]) {
        self.report.records += 1;
        let mut head = Head {
            chain: glance.chain,
            sequence: glance.sequence,
            hash: RecordHash::of(line),
        };
        self.journals.insert(head.chain.journal);
        self.note_pruned(glance, line);
        if let Some(last) = self.last {
            let expected = last.head.sequence.saturating_add(1);
            let linked = glance.previous == last.head.hash;
            if linked && head.sequence != expected {
                // It does follow: its position was altered, its neighbours were not removed.
                head.sequence = expected;
                self.close_run(false);
                self.find(Finding::Altered {
                    from: expected,
                    to: expected,
                    place,
                });
            } else if head.sequence < expected {
                return self.behind(place, head.sequence);
            } else if head.sequence > expected {
                self.gap(expected, head.sequence, place);
            } else if linked {
                self.close_run(false);
            } else {
                self.broken_link(last);
            }
            self.check_chain(last, place, head, glance, line);
        } else {
            self.report.first = Some(head);
            self.report.chains = 1;
            self.first_place = Some(place);
        }
        self.unreadable = 0;
        self.last = Some(Last { head, place });
        self.check_anchors(place, head);
    }

    fn note_pruned(&mut self, glance: &Glance, line: &[u8]) {
        if glance.kind == "pruned"
            && let Ok(Record {
                body: Body::Pruned(pruned),
                ..
            }) = Record::from_line(line)
        {
            self.report.pruned_to = self.report.pruned_to.max(pruned.sequence_last);
        }
    }

    /// Positions were skipped. Lines that could not be read stand for as many of them.
    fn gap(&mut self, expected: u64, found: u64, place: Place) {
        self.close_run(true);
        if found - expected > self.unreadable {
            self.gaps.push(Gap {
                from: expected,
                to: found - 1,
                place,
            });
        }
    }

    fn check_chain(&mut self, last: Last, place: Place, head: Head, glance: &Glance, line: &[u8]) {
        if head.chain != last.head.chain {
            self.report.chains += 1;
            if !begins_after(last.head, glance, line) {
                self.find(Finding::ChainChanged {
                    sequence: head.sequence,
                    place,
                });
            }
        }
    }

    /// A record whose position was passed already: moved here from a gap, or a copy.
    fn behind(&mut self, place: Place, sequence: u64) {
        let gap = self
            .gaps
            .iter()
            .position(|gap| (gap.from..=gap.to).contains(&sequence));
        let Some(gap) = gap.map(|index| self.gaps.remove(index)) else {
            return self.find(Finding::Repeated { sequence, place });
        };
        self.find(Finding::Reordered { sequence, place });
        let before = Gap {
            from: gap.from,
            to: sequence.saturating_sub(1),
            place: gap.place,
        };
        let after = Gap {
            from: sequence.saturating_add(1),
            to: gap.to,
            place: gap.place,
        };
        self.gaps
            .extend([before, after].into_iter().filter(|gap| gap.from <= gap.to));
    }

    /// The link from `last` to the next record is broken.
    fn broken_link(&mut self, last: Last) {
        let sequence = last.head.sequence;
        match &mut self.run {
            Some(run) => run.last = sequence,
            None => {
                self.run = Some(Run {
                    first: sequence,
                    first_place: last.place,
                    last: sequence,
                });
            }
        }
    }

    /// Names the records of a run of broken links. One broken link between two whole ones: the
    /// record before it was altered, since the one after it is vouched for by its successor.
    /// Without such a successor it may be either.
    fn close_run(&mut self, unattested: bool) {
        if let Some(run) = self.run.take() {
            let to = if unattested {
                run.last.saturating_add(1)
            } else {
                run.last
            };
            let finding = Finding::Altered {
                from: run.first,
                to,
                place: run.first_place,
            };
            if self.report.findings.last() != Some(&finding) {
                self.find(finding);
            }
        }
    }

    fn check_anchors(&mut self, place: Place, head: Head) {
        let anchors = self
            .anchors
            .get(&head.sequence)
            .map_or(&[][..], Vec::as_slice);
        for anchor in anchors {
            if anchor.head.chain.journal != head.chain.journal {
                continue;
            }
            if anchor.head == head {
                self.report.anchors_held += 1;
                self.report.anchored_to = head.sequence;
            } else if self.rewritten.len() < limits::VERIFY_FINDINGS_MAX {
                self.rewritten.push(Finding::Rewritten {
                    sequence: head.sequence,
                    place,
                    found: head.hash,
                    anchored: anchor.head.hash,
                    origin: anchor.origin.clone(),
                    held_to: self.report.anchored_to,
                });
            }
        }
    }

    /// The first record begins a journal, or follows what the journal says it deleted.
    fn check_beginning(&mut self) {
        let (Some(first), Some(place)) = (self.report.first, self.first_place) else {
            return;
        };
        let pruned_to = self.report.pruned_to;
        if first.sequence > pruned_to.saturating_add(1) {
            self.find(Finding::BeginningCut {
                first: first.sequence,
                pruned_to,
                place,
            });
        }
    }

    /// An anchor does not hold either because its record was altered, which is said already, or
    /// because the chain was computed anew.
    fn check_rewritten(&mut self) {
        let altered: Vec<(u64, u64)> = self
            .report
            .findings
            .iter()
            .filter_map(|finding| match finding {
                Finding::Altered { from, to, .. } => Some((*from, *to)),
                _ => None,
            })
            .collect();
        for finding in std::mem::take(&mut self.rewritten) {
            let Finding::Rewritten { sequence, .. } = &finding else {
                continue;
            };
            if !altered
                .iter()
                .any(|&(from, to)| (from..=to).contains(sequence))
            {
                self.find(finding);
            }
        }
    }

    fn check_end(&mut self) {
        self.report.last = self.last.map(|last| last.head);
        let first = self.report.first.map_or(0, |head| head.sequence);
        let last = self.last.map_or(0, |last| last.head.sequence);
        let mut cut = None;
        for anchor in std::mem::take(&mut self.anchors).into_values().flatten() {
            if !self.journals.contains(&anchor.head.chain.journal) {
                self.report.anchors_foreign += 1;
            } else if anchor.head.sequence < first {
                self.report.anchors_older += 1;
            } else if anchor.head.sequence > last {
                cut = Some(anchor);
            }
        }
        if let Some(anchor) = cut {
            let Anchor { head, origin } = anchor;
            self.find(Finding::EndCut {
                last,
                anchored: head.sequence,
                origin,
            });
        }
    }

    fn find(&mut self, finding: Finding) {
        if self.report.findings.len() < limits::VERIFY_FINDINGS_MAX {
            self.report.findings.push(finding);
        } else {
            self.report.findings_omitted += 1;
        }
    }
}

/// Whether a record of another chain begins it, and names what stands before it as its predecessor.
/// (Whether that has the hash it names is the link's matter.)
fn begins_after(last: Head, glance: &Glance, line: &[u8]) -> bool {
    let predecessor = Head {
        hash: glance.previous,
        ..last
    };
    // A process goes on with the journal that it found: another id is another journal's record.
    glance.chain.journal == last.chain.journal
        && glance.kind == "started"
        && matches!(
            Record::from_line(line),
            Ok(Record { body: Body::Started(started), .. })
                if started.predecessor == Some(predecessor)
        )
}
