//! Platforms: `os/arch[/variant]`. OCI image-spec v1.1, "Image Index", property `platform`.

use std::fmt;

/// What an image runs on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// For example `linux`.
    pub os: String,
    /// For example `amd64`, in Go's words (`GOARCH`).
    pub architecture: String,
    /// For example `v8`.
    pub variant: Option<String>,
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant
            .as_ref()
            .map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}
