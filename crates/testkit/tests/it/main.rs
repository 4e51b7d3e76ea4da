//! The test worlds themselves: what they promise to other tests.

mod docker_registry;
