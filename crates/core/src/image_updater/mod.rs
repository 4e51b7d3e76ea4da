//! `ImageUpdater` of `argocd-image-updater.argoproj.io/v1alpha1`: which Applications are followed,
//! and how.
//!
//! Here: the objects as people write them ([`spec`]) with their CRD ([`schema`]), read as an API
//! server would admit them ([`read`]), which of them an Application belongs to ([`select`]), what
//! it is followed by ([`settings`]), what is said on the object ([`status`]), how one goes that is
//! deleted ([`release`]), and the way from annotations and back ([`convert`]). Not here: what settings mean (`application`), and where
//! objects come from.
//!
//! The kind is that of Argo CD Image Updater 1.x: schema, messages, selection and merging are kept,
//! so that its objects work unchanged.

mod check;
pub mod convert;
pub mod held;
pub mod labels;
pub mod read;
pub mod release;
pub mod schema;
pub mod select;
pub mod settings;
pub mod spec;
pub mod status;
#[cfg(test)]
mod tests;

pub use read::{ImageUpdater, ImageUpdaterId, Rejected, Rule, concerns};
pub use select::{Claim, Claimed, Hold, Roster};

/// The API group.
pub const GROUP: &str = "argocd-image-updater.argoproj.io";
/// Group and version.
pub const API_VERSION: &str = "argocd-image-updater.argoproj.io/v1alpha1";
/// The kind.
pub const KIND: &str = "ImageUpdater";
