//! `PromotionPolicy`, `ClusterPromotionPolicy` and `PolicyException`: what must hold before an
//! image is promoted.
//!
//! Here: the documents as people write them ([`spec`]), read strictly ([`read`]) into
//! [`effective`] policies, and which of them govern an image ([`set`]). Not here: fetching keys and
//! roots that a document names (the program), and what a signature proves (`sealift_trust`).

pub mod change;
pub mod cosign_key;
pub mod draft;
pub mod effective;
pub mod error;
pub mod identity;
pub mod line;
pub mod predicate;
pub mod read;
pub mod schema;
pub mod scope;
pub mod set;
pub mod spec;
pub mod status;
