//! Values and decisions that nobody needs to forge.
//!
//! Everything here is pure: no async, no I/O, no clock, no environment, no logging. Time and
//! randomness are arguments. Each module is one noun of `ARCHITECTURE.md`, or a grammar that a noun
//! is parsed from.

/// Equality, order and hash of a type by the text it was parsed from, which its `text()` returns.
macro_rules! text_identity {
    ($type:ty) => {
        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.text() == other.text()
            }
        }

        impl Eq for $type {}

        impl PartialOrd for $type {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $type {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.text().cmp(other.text())
            }
        }

        impl std::hash::Hash for $type {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.text().hash(state);
            }
        }
    };
}

pub mod application;
pub mod branch;
pub mod catalog;
pub mod commit_message;
pub mod constraint;
pub mod credential;
pub mod digest;
pub mod election;
pub mod endpoint;
pub mod environment;
pub mod event;
pub mod evidence;
pub mod extract;
pub mod glob;
pub mod go_syntax;
pub mod host;
pub mod image_updater;
pub mod limits;
pub mod live;
pub mod manifest;
pub mod mend;
pub mod name_pattern;
mod nearest;
pub mod notice;
pub mod numbers;
pub mod oid;
pub mod path;
pub mod platform;
pub mod project;
pub mod promotion;
pub mod reason;
pub mod reference;
mod regexp;
pub mod registries_conf;
pub mod repository_credentials;
pub mod rights;
pub mod secret;
pub mod select;
pub mod settings;
pub mod slot;
pub mod strategy;
pub mod tag_filter;
pub mod template;
pub mod version;
pub mod yaml;
