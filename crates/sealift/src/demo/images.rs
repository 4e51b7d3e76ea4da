//! Small images as OCI image layouts, byte for byte the same at every run. OCI image-spec v1.1,
//! "Image Layout".

use std::fs;
use std::io;
use std::path::Path;

use sealift_core::digest::Digest;
use serde_json::{Value, json};

use crate::platform::architecture;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// Writes a layout that holds one image a tag. `created` of the n-th tag is n days after
/// 2026-01-01.
pub(crate) fn write_layout(folder: &Path, repository: &str, tags: &[&str]) -> io::Result<()> {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let mut manifests = Vec::new();
    for (position, tag) in tags.iter().enumerate() {
        let (digest, size) = write_image(&blobs, repository, tag, position)?;
        manifests.push(json!({
            "mediaType": MANIFEST,
            "digest": digest.to_string(),
            "size": size,
            "annotations": { "org.opencontainers.image.ref.name": tag },
        }));
    }
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": manifests,
    });
    fs::write(folder.join("index.json"), index.to_string())?;
    fs::write(
        folder.join("oci-layout"),
        json!({ "imageLayoutVersion": "1.0.0" }).to_string(),
    )
}

fn write_image(
    blobs: &Path,
    repository: &str,
    tag: &str,
    position: usize,
) -> io::Result<(Digest, usize)> {
    let day = position % 28 + 1;
    let config = json!({
        "created": format!("2026-01-{day:02}T08:00:00Z"),
        "architecture": architecture(),
        "os": "linux",
        "config": { "Labels": { "org.opencontainers.image.title": repository,
                                "org.opencontainers.image.version": tag } },
        "rootfs": { "type": "layers", "diff_ids": [] },
    });
    let (config_digest, config_size) = write_blob(blobs, &config)?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": { "mediaType": CONFIG, "digest": config_digest.to_string(), "size": config_size },
        "layers": [],
    });
    write_blob(blobs, &manifest)
}

fn write_blob(blobs: &Path, content: &Value) -> io::Result<(Digest, usize)> {
    let bytes = content.to_string().into_bytes();
    let digest = Digest::of(&bytes);
    fs::write(blobs.join(digest.hex()), &bytes)?;
    Ok((digest, bytes.len()))
}
