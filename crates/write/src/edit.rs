//! From an admission to the new bytes of one file.

use jiff::Timestamp;
use sealift_core::digest::Digest;
use sealift_core::path::RepoPath;
use sealift_trust::Admitted;

use crate::error::WriteError;

/// A file as it was read, or as an earlier edit of the same plan left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileText {
    /// Where it is.
    pub path: RepoPath,
    /// Its bytes; `None` when it does not exist.
    pub bytes: Option<Vec<u8>>,
}

impl FileText {
    /// SHA-256 of the bytes; `None` when the file does not exist.
    #[must_use]
    pub fn hash(&self) -> Option<Digest> {
        self.bytes.as_deref().map(Digest::of)
    }
}

/// One slot's change of one file.
#[derive(Debug)]
#[must_use = "an edit that is not planned is an update that is lost"]
pub struct Edit {
    path: RepoPath,
    before: Option<Digest>,
    after: Digest,
    bytes: Vec<u8>,
    admitted: Vec<Admitted>,
}

impl Edit {
    /// The file.
    #[must_use]
    pub const fn path(&self) -> &RepoPath {
        &self.path
    }

    /// The whole file after the edit.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The admissions that this edit uses up: one, or several that agree on one slot.
    pub fn admitted(&self) -> &[Admitted] {
        &self.admitted
    }

    /// Lets a second Application ride on this edit, because it wants the same text in the same
    /// slot.
    ///
    /// # Errors
    /// Gives the admission back when it is for another slot or another text.
    #[expect(
        clippy::result_large_err,
        reason = "the admission must come back whole"
    )]
    pub fn join(&mut self, admitted: Admitted) -> Result<(), Admitted> {
        let claim = admitted.claim();
        let same =
            |other: &Admitted| other.claim().slot == claim.slot && other.claim().new == claim.new;
        if self.admitted.iter().any(same) {
            self.admitted.push(admitted);
            return Ok(());
        }
        Err(admitted)
    }

    pub(crate) fn into_parts(self) -> (RepoPath, Option<Digest>, Digest, Vec<u8>, Vec<Admitted>) {
        (
            self.path,
            self.before,
            self.after,
            self.bytes,
            self.admitted,
        )
    }
}

/// Turns the right to write `slot` into an edit of `file`, whose text becomes `bytes`.
///
/// `bytes` comes from `sealift_core::slot`, which has proven that nothing but the slot's value
/// differs.
///
/// # Errors
/// [`WriteError::AdmissionEnded`]: the admission is for another slot or too old.
/// [`WriteError::NoChange`]: same bytes.
pub fn edit(
    file: &FileText,
    bytes: Vec<u8>,
    slot: &str,
    admitted: Admitted,
    now: Timestamp,
) -> Result<Edit, WriteError> {
    if !admitted.holds(slot, admitted.claim().old.as_deref(), now) {
        return Err(WriteError::AdmissionEnded {
            slot: slot.to_owned(),
        });
    }
    if file.bytes.as_deref() == Some(bytes.as_slice()) {
        return Err(WriteError::NoChange {
            path: file.path.clone(),
        });
    }
    let after = Digest::of(&bytes);
    Ok(Edit {
        path: file.path.clone(),
        before: file.hash(),
        after,
        bytes,
        admitted: vec![admitted],
    })
}
