//! The targets: one a parser. Each takes any bytes, calls the real function and asserts what must
//! hold for every answer.

mod applications;
mod choice;
mod cluster;
mod files;
mod names;
mod policies;
mod records;
mod roots;
mod settings;
mod updaters;
mod wire;

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
    target("annotations", applications::annotations),
    target("branches", applications::branches),
    target("git_answers", wire::git_answers),
    target("git_urls", applications::git_urls),
    target("challenges", wire::challenge_lines),
    target("constraints", choice::constraints),
    target("credentials", settings::credentials),
    target("docker_config", settings::docker_config),
    target("environment", cluster::environment),
    target("evidence_manifests", wire::evidence_manifests),
    target("helm_values", files::helm_values),
    target("image_manifests", wire::image_manifests),
    target("image_updaters", updaters::image_updaters),
    target("listing_pages", wire::listing_pages),
    target("manifests", files::manifests),
    target("names", names::names),
    target("open_intents", records::open_intents),
    target("patterns", choice::patterns),
    target("policies", policies::policies),
    target("projects", cluster::projects),
    target("records", records::records),
    target("references", choice::references),
    target("registries_conf", settings::registries_conf),
    target("repo_paths", names::repo_paths),
    target("repository_secrets", cluster::repository_secrets),
    target("repository_names", wire::repository_names),
    target("templates", settings::templates),
    target("tuf_repositories", roots::repositories),
    target("updater_statuses", cluster::updater_statuses),
    target("write_back_targets", settings::write_back_targets),
    target("yaml_edits", files::yaml_edits),
];

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// The target called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// The bytes as text, as a program reads them that does not care for broken UTF-8.
fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
