//! Sealift lifts only sealed images into Git.

fn main() {}
