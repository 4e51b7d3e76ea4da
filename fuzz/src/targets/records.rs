//! Lines of the journal, trailers of commits and open intents on the lease: whoever can write a
//! disk, push or write the lease can write them.

use sealift_core::event::Record;
use sealift_core::event::open::{Ledger, Pending};
use sealift_core::event::{trailer, trailer_head};

use super::text;

/// A trailer that is read prints as itself; a record that is read and written again is read as
/// before.
pub(super) fn records(bytes: &[u8]) {
    if let Ok(head) = trailer_head(&text(bytes)) {
        assert_eq!(trailer_head(&trailer(&head)).as_ref(), Ok(&head));
    }
    for line in bytes.split(|byte| *byte == b'\n') {
        let Ok(record) = Record::from_line(line) else {
            continue;
        };
        let Ok(written) = serde_json::to_vec(&record) else {
            continue;
        };
        let again = Record::from_line(&written).expect("our own line is readable");
        assert_eq!(again, record);
    }
}

/// What is read of the lease is bounded, and what is written after it is read again without a
/// complaint.
pub(super) fn open_intents(bytes: &[u8]) {
    let mut ledger = Ledger::default();
    ledger.read(Some(&text(bytes)));
    let damaged = !ledger.take_problems().is_empty();
    assert_eq!(damaged, ledger.pending() != Pending::Nothing);
    let texts = ledger.texts();
    let mut again = Ledger::default();
    again.read(texts.open.as_deref());
    assert!(again.take_problems().is_empty());
    assert!(again.open().eq(ledger.open()));
}
