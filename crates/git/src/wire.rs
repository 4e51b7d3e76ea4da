//! What servers send, read as everything that it may be: for who wants to see a hostile answer
//! taken apart without a server, such as the fuzz targets.

use sealift_core::oid::ObjectFormat;

use crate::objects::{entries, tree_of};
use crate::protocol::{read_advertisement, read_fetch, read_list, read_report};

/// What bytes are, read as each kind of answer. `None`: they are none of that kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// As the answer to `ls-refs`: how many references it names.
    pub references: Option<usize>,
    /// As the answer to `fetch`: the bytes of its pack, and how many boundaries it draws.
    pub fetched: Option<(usize, usize)>,
    /// As what comes before a push: how many references it names.
    pub advertised: Option<usize>,
    /// As the report on a push of `refs/heads/main`: whether the branch was updated.
    pub updated: Option<bool>,
    /// As a tree object: its entries.
    pub entries: Option<usize>,
    /// As a commit object: whether it names a tree.
    pub names_tree: bool,
}

/// Reads `bytes` as each kind of answer: gitprotocol-v2(5), gitprotocol-pack(5).
#[must_use]
pub fn read_answers(bytes: &[u8]) -> Answers {
    let advertisement = read_advertisement(bytes).ok();
    // A report is read as the advertisement before it allows, so both come from these bytes.
    let before = advertisement.clone().unwrap_or_default();
    let report = read_report(&before, "refs/heads/main", bytes);
    let tree: Result<Vec<_>, _> = entries(ObjectFormat::Sha1, bytes).collect();
    let fetched = read_fetch(bytes).ok();
    Answers {
        references: read_list(bytes).ok().map(|references| references.len()),
        fetched: fetched.map(|fetched| {
            let boundaries = fetched.shallow.len() + fetched.unshallow.len();
            (fetched.pack.len(), boundaries)
        }),
        advertised: advertisement.map(|advertisement| advertisement.references.len()),
        updated: report.ok().map(|report| report.refused.is_none()),
        entries: tree.ok().map(|entries| entries.len()),
        names_tree: tree_of(bytes).is_some(),
    }
}
