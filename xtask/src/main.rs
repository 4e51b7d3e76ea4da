//! The project's only entry besides cargo itself: tests, vectors, benchmarks, generated files.

mod vectors;

fn main() {}
