//! Images as Kustomize settings of an Application write them: `[name=]newName[:newTag][@digest]`.

use super::Reference;

/// One entry of a Kustomize image list. Kustomize reference, `images`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KustomizeImage {
    /// The image that manifests name.
    pub name: String,
    /// What it becomes; empty where it keeps its name.
    pub new_name: String,
    /// The tag; empty where none is written.
    pub new_tag: String,
    /// The digest as written; empty where none is.
    pub digest: String,
}

impl KustomizeImage {
    /// Reads one entry. Every text has an answer.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (alias, reference) = Reference::parse_aliased(text);
        let full_name = reference.full_name();
        let (name, new_name) = match alias {
            Some(alias) => (alias.to_owned(), full_name),
            None => (full_name, String::new()),
        };
        Self {
            name,
            new_name,
            new_tag: reference.tag.unwrap_or_default(),
            digest: reference.digest.unwrap_or_default(),
        }
    }
}
