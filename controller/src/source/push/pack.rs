//! Packs to send: whole objects, which whoever pushes has made, so that nothing is searched for.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use gix::objs::Kind;
use sha1::{Digest, Sha1};

use super::NewObject;

/// A pack of whole objects.
pub(super) fn pack(objects: &[NewObject]) -> std::io::Result<Vec<u8>> {
    let mut pack = b"PACK\0\0\0\x02".to_vec();
    let count = u32::try_from(objects.len()).map_err(std::io::Error::other)?;
    pack.extend(count.to_be_bytes());
    for object in objects {
        head(&mut pack, object);
        let mut encoder = ZlibEncoder::new(&mut pack, Compression::default());
        encoder.write_all(&object.bytes)?;
        encoder.finish()?;
    }
    let digest = Sha1::digest(&pack);
    pack.extend(digest);
    Ok(pack)
}

/// Kind and size: four bits of the size first, then seven in each byte.
fn head(pack: &mut Vec<u8>, object: &NewObject) {
    let kind: u8 = match object.kind {
        Kind::Commit => 1,
        Kind::Tree => 2,
        Kind::Blob => 3,
        Kind::Tag => 4,
    };
    let mut size = object.bytes.len();
    let mut byte = kind << 4 | (size & 0x0f) as u8;
    size >>= 4;
    while size > 0 {
        pack.push(byte | 0x80);
        byte = (size & 0x7f) as u8;
        size >>= 7;
    }
    pack.push(byte);
}

#[cfg(test)]
mod tests {
    use overlay::ObjectHash;

    use super::*;

    #[test]
    fn a_pack_is_read_by_git() {
        let folder = tempfile::tempdir().expect("a folder");
        let git = |arguments: &[&str]| {
            std::process::Command::new("git")
                .args(arguments)
                .current_dir(folder.path())
                .output()
                .expect("git runs")
        };
        git(&["init", "--quiet", "--bare", "."]);
        let sizes = [0, 1, 15, 16, 2047, 2048, 300_000];
        let objects: Vec<NewObject> = sizes
            .map(|size| NewObject {
                kind: Kind::Blob,
                bytes: (0..size).map(|at| (at % 251) as u8).collect(),
            })
            .into();
        let pack = pack(&objects).expect("a pack");
        std::fs::write(folder.path().join("new.pack"), pack).expect("written");
        let output = git(&["index-pack", "--strict", "new.pack"]);
        assert!(output.status.success(), "{output:?}");
        let listed = git(&["verify-pack", "-v", "new.idx"]);
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        for object in &objects {
            let id = ObjectHash::of_blob(&object.bytes).to_string();
            assert!(listed.contains(&id), "{id}\n{listed}");
        }
    }
}
