//! Lines of the journal and trailers of commits: whoever can write a disk or push can write them.

use sealift_core::event::Record;
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
