//! The targets: one a parser. Each takes any bytes, calls the real function and asserts what must
//! hold for every answer.

mod names;
mod records;
mod settings;

/// One parser of hostile input.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Also the name of its folder in the corpus.
    pub name: &'static str,
    /// Panics where an invariant is broken.
    pub run: fn(&[u8]),
}

/// Every target. A parser of hostile input adds its line here, and a folder with a few inputs.
pub const TARGETS: &[Target] = &[
    Target {
        name: "credentials",
        run: settings::credentials,
    },
    Target {
        name: "docker_config",
        run: settings::docker_config,
    },
    Target {
        name: "names",
        run: names::names,
    },
    Target {
        name: "records",
        run: records::records,
    },
    Target {
        name: "registries_conf",
        run: settings::registries_conf,
    },
    Target {
        name: "repo_paths",
        run: names::repo_paths,
    },
];

/// The target called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// The bytes as text, as a program reads them that does not care for broken UTF-8.
fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
