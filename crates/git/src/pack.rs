//! Pack files: all new objects of a push in one, whole and without deltas. gitformat-pack(5).

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use sealift_core::oid::ObjectFormat;
use sha1::Digest as _;

use crate::objects::Kind;

/// Writes a pack of version 2.
///
/// # Errors
/// None in practice: memory is written to. The type is that of the compressor.
pub(crate) fn write<'a>(
    format: ObjectFormat,
    objects: impl ExactSizeIterator<Item = (Kind, &'a [u8])>,
) -> std::io::Result<Vec<u8>> {
    let mut pack = b"PACK\0\0\0\x02".to_vec();
    let count = u32::try_from(objects.len()).map_err(std::io::Error::other)?;
    pack.extend(count.to_be_bytes());
    // One for all objects: its windows take a quarter of a megabyte.
    let mut encoder = ZlibEncoder::new(pack, Compression::fast());
    for (kind, bytes) in objects {
        header(encoder.get_mut(), kind, bytes.len());
        encoder.write_all(bytes)?;
        let so_far = encoder.reset(Vec::new())?;
        *encoder.get_mut() = so_far;
    }
    let mut pack = std::mem::take(encoder.get_mut());
    match format {
        ObjectFormat::Sha1 => pack.extend(sha1::Sha1::digest(&pack)),
        ObjectFormat::Sha256 => pack.extend(sha2::Sha256::digest(&pack)),
    }
    Ok(pack)
}

/// Kind and size: four bits of the size in the first byte, seven in each further one, lowest first.
fn header(pack: &mut Vec<u8>, kind: Kind, mut size: usize) {
    let number: u8 = match kind {
        Kind::Commit => 1,
        Kind::Tree => 2,
        Kind::Blob => 3,
    };
    let low = |size: usize, bits: usize| u8::try_from(size & ((1 << bits) - 1)).unwrap_or_default();
    let mut byte = number << 4 | low(size, 4);
    size >>= 4;
    while size > 0 {
        pack.push(byte | 0x80);
        byte = low(size, 7);
        size >>= 7;
    }
    pack.push(byte);
}
