//! Verdicts, and the right to write.
//!
//! Trust is a value with one origin. [`Judge`] is the only maker of a [`Verdict`], [`admit`] the
//! only maker of an [`Admitted`], and nothing downstream takes anything else. None of them can be
//! built by hand, copied or used twice; the tests below fail to compile, and must go on failing.
//!
//! A verdict cannot be made up:
//! ```compile_fail,E0451
//! fn any<T>() -> T { loop {} }
//! let _ = sealift_trust::Verdict { digest: any(), policy: any(), clauses: any(), finding: any() };
//! ```
//! Nor can a waiver:
//! ```compile_fail,E0451
//! use sealift_trust::{Waiver, WaiverKind};
//! let _ = Waiver { kind: WaiverKind::NoPolicy { source: String::new() } };
//! ```
//! Nor can a proof:
//! ```compile_fail,E0451
//! let _ = sealift_trust::Proof { vouched: Vec::new() };
//! ```
//! Nor the policy that a verdict is reached under:
//! ```compile_fail,E0451
//! fn any<T>() -> T { loop {} }
//! let _ = sealift_trust::Policy { unverified: any(), governance: any(), rules: any(), hash: any() };
//! ```
//! Nor the right to write:
//! ```compile_fail,E0451
//! fn any<T>() -> T { loop {} }
//! let _ = sealift_trust::Admitted { claim: any(), value: any(), digest: any(), policy: any(),
//!                                   basis: any(), not_after: any() };
//! ```
//! A verdict is used up by admitting:
//! ```compile_fail,E0382
//! use sealift_trust::{admit, Claim, Verdict};
//! fn twice(candidate: sealift_trust::Candidate, verdict: Verdict, claim: Claim, now: jiff::Timestamp) {
//!     let _ = admit(candidate.clone(), verdict, claim.clone(), now);
//!     let _ = admit(candidate, verdict, claim, now);
//! }
//! ```
//! And the right to write is no thing to copy:
//! ```compile_fail,E0277
//! fn copied<T: Clone>() {}
//! copied::<sealift_trust::Admitted>();
//! ```

mod admit;
mod authority;
mod candidate;
mod certificate;
mod claimed;
mod clause;
mod error;
mod facts;
mod failure;
mod judge;
mod key;
mod legacy;
mod policy;
#[cfg(feature = "root")]
pub mod root;
mod signed;
mod strict;
mod trust_root;
mod verdict;

pub use admit::{ADMITTED_LIFE_SECS, Admitted, Basis, Claim, admit};
pub use authority::{Materials, Vouched};
pub use candidate::Candidate;
pub use claimed::{Claimed, ClaimedSigner, claimed};
pub use error::Refusal;
pub use failure::Failure;
pub use judge::{Case, Judge};
pub use key::{KeyError, PublicKey};
pub use policy::{Policy, Unverified};
pub use trust_root::{TrustRoot, TrustRootError};
pub use verdict::{Clause, Finding, Proof, Verdict, Waiver, WaiverKind};
