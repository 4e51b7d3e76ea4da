//! OCI distribution client: what a registry says, bounded, checked and remembered.
//!
//! Here: tag lists, manifests, configurations, evidence, image layouts, credentials, challenges,
//! caches. Not here: policy, choice, trust, YAML, Git, sockets (those are `sealift-net`'s). OCI
//! distribution-spec v1.1, image-spec v1.1.

mod access;
mod challenge;
mod client;
mod endpoint;
mod error;
mod evidence;
mod flight;
mod layout;
mod link;
mod manifest;
mod memory;
mod metadata;
mod name;
mod pack;
mod realm;
mod session;
mod store;
mod tags;

pub use access::{Access, Anonymous, Credentials, LoginFuture};
pub use challenge::{Challenge, challenges};
pub use client::Registry;
pub use endpoint::Endpoint;
pub use error::RegistryError;
pub use evidence::{
    Carrier, EvidenceSource, Layer, PlatformManifest, Referrers, evidence_in, evidence_of,
};
pub use layout::Layout;
pub use link::next_page;
pub use manifest::{Descriptor, Manifest, ManifestKind, ManifestProblem};
pub use memory::Observation;
pub use metadata::{Freshness, Resolved, Wanted};
pub use name::RepositoryName;
pub use store::Store;
pub use tags::parse_page;
