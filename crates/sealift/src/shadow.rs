//! Shadow mode: Sealift beside another that writes, and where the two differ.
//!
//! What would have been written is kept in the state folder until the next look, and compared with
//! what Git, or the Application, holds then. Nothing else is written anywhere.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use sealift_core::event::{Considered, Decision};
use sealift_core::reference::Reference;
use serde::{Deserialize, Serialize};

use crate::pipeline::report::Report;
use crate::state::StateFolder;

/// Remembers the look before this one.
pub struct Shadow {
    file: PathBuf,
    looked: BTreeMap<String, Looked>,
}

/// What was seen of one image of one Application, and decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Looked {
    /// What stood there.
    held: String,
    /// What would have been written. `None`: nothing.
    would: Option<String>,
    /// Why.
    why: String,
    /// The difference that was said last.
    said: Option<String>,
}

/// How what stands there now differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Another value was written than Sealift would have written.
    Other,
    /// A value was written where Sealift would have written none.
    Unexpected,
    /// Nothing was written where Sealift would have.
    Missing,
}

/// Where what is written now is not what Sealift would have written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The Application, `namespace/name`.
    pub application: String,
    /// Alias of the image, or its name.
    pub image: String,
    /// How it differs.
    pub kind: Kind,
    /// What stood there at the last look.
    pub before: String,
    /// What Sealift would have written then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would: Option<String>,
    /// What stands there now.
    pub holds: String,
    /// Why Sealift decided so.
    pub why: String,
    /// Whether it was not said before.
    #[serde(skip)]
    pub is_new: bool,
}

impl Difference {
    /// One sentence.
    #[must_use]
    pub fn detail(&self) -> String {
        let Self {
            image,
            before,
            holds,
            why,
            ..
        } = self;
        let would = self.would.as_deref().unwrap_or("nothing");
        match self.kind {
            Kind::Other => format!(
                "`{image}`: `{holds}` was written over `{before}`, and Sealift would have written \
                 `{would}`"
            ),
            Kind::Unexpected => format!(
                "`{image}`: `{holds}` was written over `{before}`, and Sealift would have written \
                 nothing ({why})"
            ),
            Kind::Missing => {
                format!(
                    "`{image}`: `{before}` still stands, and Sealift would have written `{would}`"
                )
            }
        }
    }
}

impl Shadow {
    /// Reads what an earlier process saw last. What cannot be read is forgotten, and said.
    ///
    /// # Errors
    /// The state folder cannot be used.
    pub fn open(state: &StateFolder) -> anyhow::Result<Self> {
        let file = state.subfolder("shadow")?.join("looked.json");
        let looked = match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                let file = file.display();
                tracing::warn!(%error, "`{file}` cannot be read; comparing begins anew");
                BTreeMap::new()
            }),
            Err(_) => BTreeMap::new(),
        };
        Ok(Self { file, looked })
    }

    /// Compares what stands there now with what would have been written at the last look, and keeps
    /// what would be written now. Where the cycle was not a `whole` one, the other images stay as
    /// they were.
    ///
    /// # Errors
    /// It cannot be kept.
    pub fn look(&mut self, report: &Report, whole: bool) -> anyhow::Result<Vec<Difference>> {
        let mut differences = Vec::new();
        let mut looked = BTreeMap::new();
        for entry in &report.considered {
            let considered = entry.considered();
            let image = considered.image.alias.clone();
            let image = image.unwrap_or_else(|| considered.image.written.clone());
            let key = format!("{} {image}", considered.application);
            let before = self.looked.get(&key);
            let Some(mut now) = seen(&considered) else {
                // What stands there is not known: the look before counts on.
                looked.extend(before.map(|before| (key, before.clone())));
                continue;
            };
            if let Some(before) = before
                && let Some(kind) = compare(before, &now.held)
            {
                let mut difference = Difference {
                    application: considered.application.clone(),
                    image,
                    kind,
                    before: before.held.clone(),
                    would: before.would.clone(),
                    holds: now.held.clone(),
                    why: before.why.clone(),
                    is_new: false,
                };
                let said = difference.detail();
                difference.is_new = before.said.as_ref() != Some(&said);
                now.said = Some(said);
                differences.push(difference);
            }
            looked.insert(key, now);
        }
        match whole {
            true => self.looked = looked,
            false => self.looked.extend(looked),
        }
        self.keep()?;
        Ok(differences)
    }

    fn keep(&self) -> anyhow::Result<()> {
        let new = self.file.with_extension("new");
        let bytes = serde_json::to_vec(&self.looked)?;
        std::fs::write(&new, bytes)
            .and_then(|()| std::fs::rename(&new, &self.file))
            .with_context(|| format!("`{}` cannot be written", self.file.display()))
    }
}

/// `None`: they do not differ.
fn compare(before: &Looked, holds: &str) -> Option<Kind> {
    match &before.would {
        Some(would) if would == holds => None,
        Some(_) if before.held == holds => Some(Kind::Missing),
        Some(_) => Some(Kind::Other),
        None if before.held == holds => None,
        None => Some(Kind::Unexpected),
    }
}

/// What stands there and what would be written, in the same words: the tag, or the digest where
/// that is followed. A pinned tag is the tag: that the other does not pin is no difference.
fn seen(considered: &Considered) -> Option<Looked> {
    let wanted = Reference::parse(considered.inputs.wanted.as_ref()?);
    let by_digest = considered.strategy == "digest";
    let held = match (wanted.tag, wanted.digest) {
        (Some(tag), _) if !by_digest => tag,
        (tag, digest) => digest.or(tag).unwrap_or_default(),
    };
    let candidate = considered.candidate.as_ref();
    let candidate = candidate.filter(|_| considered.decision == Decision::WouldUpdate);
    let would = candidate.map(|candidate| match candidate.digest {
        Some(digest) if by_digest => digest.to_string(),
        _ => candidate.tag.clone(),
    });
    let first = considered.reasons.first();
    Some(Looked {
        held,
        // The pin alone is no other version.
        would: would.filter(|would| *would != considered_tag(considered)),
        why: first.map_or_else(String::new, |cause| cause.reason.to_string()),
        said: None,
    })
}

fn considered_tag(considered: &Considered) -> String {
    let wanted = considered.inputs.wanted.as_deref().map(Reference::parse);
    wanted.and_then(|wanted| wanted.tag).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(would: Option<&str>) -> Looked {
        Looked {
            held: "1.8.2".to_owned(),
            would: would.map(str::to_owned),
            why: "newest".to_owned(),
            said: None,
        }
    }

    #[test]
    fn what_differs_is_another_value_one_too_many_or_one_too_few() {
        let would = looked(Some("1.9.0"));
        assert_eq!(compare(&would, "1.9.0"), None);
        assert_eq!(compare(&would, "1.8.2"), Some(Kind::Missing));
        assert_eq!(compare(&would, "2.0.0"), Some(Kind::Other));
        let none = looked(None);
        assert_eq!(compare(&none, "1.8.2"), None);
        assert_eq!(compare(&none, "1.9.0"), Some(Kind::Unexpected));
    }
}
