//! The only way from an `Admitted` to bytes.
//!
//! An [`Edit`] is one slot's new text in one file, with the hash of the file before and after. A
//! [`Plan`] is the edits of one (repository, branch, credential, signer) on one base commit.
//! Neither can be made but from admissions, and both are used up.
//!
//! A plan cannot be built by hand:
//! ```compile_fail,E0451
//! fn any<T>() -> T { loop {} }
//! let _ = sealift_write::Plan { target: any(), commits: any() };
//! ```
//! Nor an edit:
//! ```compile_fail,E0451
//! fn any<T>() -> T { loop {} }
//! let _ = sealift_write::Edit { path: any(), before: any(), after: any(), bytes: any(),
//!                               admitted: any() };
//! ```
//! An admission is used up by its edit:
//! ```compile_fail,E0382
//! use sealift_write::{edit, FileText};
//! fn twice(admitted: sealift_trust::Admitted, file: FileText, slot: &str, now: jiff::Timestamp) {
//!     let _ = edit(&file, vec![1], slot, admitted, now);
//!     let _ = edit(&file, vec![1], slot, admitted, now);
//! }
//! ```
//! Nor the patch of an Application, which is written to the API server instead:
//! ```compile_fail,E0451
//! let _ = sealift_write::SpecPatch { operations: Vec::new(), admitted: Vec::new() };
//! ```
//! And a plan cannot be copied, so it cannot be pushed twice:
//! ```compile_fail,E0277
//! fn copied<T: Clone>() {}
//! copied::<sealift_write::Plan>();
//! ```
//! ```compile_fail,E0277
//! fn copied<T: Clone>() {}
//! copied::<sealift_write::SpecPatch>();
//! ```

mod edit;
mod error;
mod message;
mod plan;
mod spec;

pub use edit::{Edit, FileText, edit};
pub use error::WriteError;
pub use message::{Author, CommitText, commit_message};
pub use plan::{FileChange, Plan, PlanTarget, PlannedCommit, plan};
pub use spec::{Operation, SpecEdit, SpecPatch, spec_patch};
