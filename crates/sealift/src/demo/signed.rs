//! The demo's signed images: layouts that real cosign signed, put under tags of the demo's own. No
//! signer is in the program.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;

/// The trust root of the Sigstore that signed.
pub(crate) const TRUSTED_ROOT: &[u8] = include_bytes!("../../assets/demo/trusted_root.json");

/// A layout in the program: its `index.json`, and its blobs by name.
pub(crate) struct Signed {
    index: &'static [u8],
    blobs: &'static [(&'static str, &'static [u8])],
}

macro_rules! signed {
    ($name:literal, $($hex:literal,)*) => {
        Signed {
            index: include_bytes!(concat!("../../assets/demo/", $name, "/index.json")),
            blobs: &[$((
                $hex,
                include_bytes!(concat!("../../assets/demo/", $name, "/blobs/sha256/", $hex)),
            ),)*],
        }
    };
}

/// Signed by workflow `release.yml` of `acme/shop` at tag `v1.2.3`.
pub(crate) const BY_WORKFLOW: Signed = signed!(
    "by-workflow",
    "06b1493cd854bf843ded267a2cfdbc1184fc1263db5eff6f983b9c902ace1f04",
    "0874755d29b0621e578f3802966ca7ce6bfbe160eceecadccf82b157633143ca",
    "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    "7bc4e6bbb6e76b287ed08e9c9d553d435ea1bf4abbe276b92ac1ed41e2cd40bf",
    "7e00c724b400502ceacfc5f42f415a9b6baf5ea0d6c3cf5c2e3578a547cdf52a",
    "e132be0f64fa32e44ba699a020fbe96296cd8381f55b7f9c30ea31b5e2e49c47",
    "e2e92b19238d2ac38885d7c006d748a41e0fbfec21b6725fb7ecb1db6bece8e8",
    "f805315c9c14bc35ae340cebe7fcdd010878b5ff92bf8b223c5e7ae0b62664de",
);

/// Signed with a key that the demo's policy does not know.
pub(crate) const BY_STRANGER: Signed = signed!(
    "by-stranger",
    "19771aea674e04ec563b23f7a0a23fd054204fe0b7c578d60dcfb4d93d4de9c2",
    "255918af2f99fb499456d679cd8e5f8bdf0947b144b54bbd0f5dc739a7dcedee",
    "2d6276a602cf763d7be3515d94221cc5107fbaec925dded2360c22ce2ef995a8",
    "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    "66f8e1c6dc21b6406c6526d6ad8b204efba761d665c895b6bd603ecd16b6892e",
    "7768841420cb790e8691c95ec8f94e8504daa2176b390d42f8290ff828698fa1",
    "80545b658d7864f2a2b21007293223dfb105c533049cb9f79fefd71056301292",
    "9abe7126cf5917e2d845737cefdb6e557382e75da68322ff26b77f14cffbea56",
    "ac37df919f2e9cbc3d63973246d0ff470bdcaf282f04e0fb8063e1043c944f2d",
    "daaf0ebfe981fe147d919808ca9e89417491206e854f5c944bca778b7a0d19c2",
);

/// Adds the image of `signed`, with all that hangs on it, to the layout in `folder`, under each of
/// `tags`.
pub(crate) fn add(folder: &Path, signed: &Signed, tags: &[&str]) -> io::Result<()> {
    const NAME: &str = "org.opencontainers.image.ref.name";
    let blobs = folder.join("blobs/sha256");
    for (hex, bytes) in signed.blobs {
        fs::write(blobs.join(hex), bytes)?;
    }
    let path = folder.join("index.json");
    let mut index: Value = serde_json::from_slice(&fs::read(&path)?)?;
    let added: Value = serde_json::from_slice(signed.index)?;
    let mut entries = Vec::new();
    for entry in added["manifests"].as_array().into_iter().flatten() {
        // What names the image gets our tags; what hangs on it has no name.
        if entry["annotations"][NAME].is_string() {
            entries.extend(tags.iter().map(|tag| {
                let mut entry = entry.clone();
                entry["annotations"][NAME] = Value::from(*tag);
                entry
            }));
        } else {
            entries.push(entry.clone());
        }
    }
    if let Some(manifests) = index["manifests"].as_array_mut() {
        manifests.extend(entries);
    }
    fs::write(path, index.to_string())
}
