//! `PromotionPolicy`, `ClusterPromotionPolicy` and `PolicyException`: what must hold before an image is promoted.
//!
//! Here: the documents as people write them ([`spec`]), read strictly into
//! [`effective`] policies. Not here: fetching keys and roots that a document names
//! (the program), and what a signature proves (`sealift_trust`).

pub mod effective;
pub mod identity;
pub mod spec;
