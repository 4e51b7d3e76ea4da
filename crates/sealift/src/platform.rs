//! The platform that this program runs on, in the words of image configurations.

use sealift_core::platform::Platform;

/// `linux/<architecture>`: what an image must serve where no platform is named.
#[must_use]
pub fn own() -> Platform {
    Platform {
        os: "linux".to_owned(),
        architecture: architecture().to_owned(),
        variant: None,
    }
}

/// The machine's architecture as Go (`GOARCH`) and image configurations name it.
#[must_use]
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}
