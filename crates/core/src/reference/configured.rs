//! The images that a user asks to have updated: `[alias=]image[:constraint]`.

use super::Reference;

/// One item of `image-list`, or one `images[]` entry of a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfiguredImage {
    /// The name that per-image settings use.
    pub alias: Option<String>,
    /// The image, without tag and digest.
    pub reference: Reference,
    /// What stood where a tag would: a version constraint, or the tag that the digest strategy
    /// follows.
    pub constraint: Option<String>,
}

/// Why a text names no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfiguredImageError {
    /// Nothing stands where the image should.
    #[error("`{0}` names no image; the entry was not used")]
    Empty(String),
    /// What would be written, or asked for, is the name of another image.
    #[error("`{0}` reads as the name of another image; the entry was not used")]
    Ambiguous(String),
    /// The registry is an address in a spelling that hides which one.
    #[error(
        "the registry of `{0}` is a number that is read as an address; the entry was not used; write \
         the address as four decimal numbers"
    )]
    DisguisedAddress(String),
}

impl ConfiguredImageError {
    /// The stable reason.
    #[must_use]
    pub const fn reason(&self) -> crate::reason::Reason {
        match self {
            Self::Empty(_) | Self::Ambiguous(_) | Self::DisguisedAddress(_) => {
                crate::reason::Reason::SettingInvalid
            }
        }
    }
}

impl ConfiguredImage {
    /// Reads one item of the `image-list` annotation. The first `=` ends the alias; blanks around
    /// item, alias and image do not count.
    ///
    /// Without an alias a constraint cannot hold a `=` (`nginx:>=1.0` is the image `1.0` under the
    /// alias `nginx:>`): that is the grammar of the annotation.
    ///
    /// # Errors
    /// [`ConfiguredImageError::Empty`] where no image is named.
    pub fn parse_item(item: &str) -> Result<Self, ConfiguredImageError> {
        match item.split_once('=') {
            Some((alias, image)) => Self::new(Some(alias.trim()), image.trim()),
            None => Self::new(None, item.trim()),
        }
        .map_err(|_| ConfiguredImageError::Empty(item.to_owned()))
    }

    /// Reads `image[:constraint]`, the alias being known. A `=` belongs to the constraint; a digest
    /// is not followed.
    ///
    /// # Errors
    /// [`ConfiguredImageError::Empty`] where no image is named.
    pub fn new(alias: Option<&str>, image: &str) -> Result<Self, ConfiguredImageError> {
        let reference = Reference::parse(image);
        if reference.name.is_empty() {
            return Err(ConfiguredImageError::Empty(image.to_owned()));
        }
        Ok(Self {
            alias: alias.filter(|alias| !alias.is_empty()).map(str::to_owned),
            constraint: reference.tag.clone().filter(|tag| !tag.is_empty()),
            reference: reference.without_tag(),
        })
    }
}
