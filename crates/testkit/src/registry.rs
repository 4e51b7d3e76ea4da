//! Registries for tests: the real `docker-registry`, and one that lies on request.

pub mod attached;
pub mod docker;
pub mod image;
pub mod scripted;
pub mod tls;
pub(crate) mod wire;
