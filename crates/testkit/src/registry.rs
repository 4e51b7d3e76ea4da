//! Registries for tests: the real `docker-registry`, and one that lies on request.

pub mod docker;
pub mod image;
