//! Policy documents as they were found, with what messages about them need.
//!
//! Here: where a document stands and on which line a field of it is. Not here: what it means
//! (`sealift_core::promotion`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealift_core::promotion::line::line_of;
use sealift_core::promotion::set::PolicyDocument;
use serde_json::Value;

use super::files::Reader;
use super::{ObjectProblem, Origin};

/// A document of the group `sealift.dev`.
#[derive(Debug, Clone)]
pub struct ListedPolicy {
    /// Where it stands.
    pub origin: Origin,
    /// What it says, or why that cannot be read.
    pub object: Result<Value, String>,
    /// The text of the file it stands in.
    pub text: Option<Arc<str>>,
    /// The folder that paths in it are relative to.
    pub folder: Option<PathBuf>,
}

impl ListedPolicy {
    /// For [`sealift_core::promotion::set::PolicySet::update`].
    #[must_use]
    pub fn document(&self) -> PolicyDocument {
        PolicyDocument {
            origin: self.origin.to_string(),
            folder: self.folder.clone(),
            object: self.object.clone(),
        }
    }

    /// `file:line` of a field, or as near to it as can be told.
    #[must_use]
    pub fn place(&self, field: &str) -> String {
        let Origin::Document { file, line, item } = &self.origin else {
            return self.origin.to_string();
        };
        let path = match item {
            Some(item) => format!("items[{item}].{field}"),
            None => field.to_owned(),
        };
        let first = usize::try_from(*line).unwrap_or(usize::MAX);
        let found = self.text.as_deref();
        match found.and_then(|text| line_of(text, first, &path)) {
            Some(line) => format!("{file}:{line}"),
            None => self.origin.to_string(),
        }
    }
}

/// Reads files that must hold policies, and nothing else.
///
/// # Errors
/// Everything that is no policy, or cannot be read.
pub fn from_files<'a>(
    files: impl IntoIterator<Item = &'a Path>,
    namespace: &str,
) -> Result<Vec<ListedPolicy>, Vec<ObjectProblem>> {
    let mut reader = Reader::new(namespace);
    for file in files {
        reader.read_policy_file(file);
    }
    let objects = reader.finish();
    match objects.problems() {
        [] => Ok(objects.listed_policies().to_vec()),
        problems => Err(problems.to_vec()),
    }
}
