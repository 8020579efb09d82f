//! The folder in which a plain text lies while it is edited: in memory, for its owner only, gone afterwards.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::super::Failure;

const PREFIX: &str = "weir-edit-";

/// A folder that is removed when it is dropped, with all that lies in it.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes the folder on a file system in memory. Elsewhere a plain text could be found on the disk long after, so
    /// that must be asked for. Folders that a killed process left behind are swept away.
    pub(super) fn new(insecure: bool) -> Result<Self, Failure> {
        let parent = memory_folder()
            .or_else(|| insecure.then(std::env::temp_dir))
            .ok_or_else(|| {
                Failure::with_hint(
                    "there is no file system in memory to edit on",
                    "--insecure-temp edits in the temporary folder on disk",
                )
            })?;
        sweep(&parent);
        let path = parent.join(format!("{PREFIX}{}", std::process::id()));
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|error| Failure::io("creating", &path, &error))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is swept at the next start.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The user's runtime folder, or shared memory, when it really is in memory.
fn memory_folder() -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/mounts").ok()?;
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    runtime
        .into_iter()
        .chain([PathBuf::from("/dev/shm")])
        .find(|folder| folder.is_dir() && is_in_memory(folder, &mounts))
}

fn is_in_memory(folder: &Path, mounts: &str) -> bool {
    let kind = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            Some((fields.next()?, fields.next()?))
        })
        .filter(|(mount, _)| folder.starts_with(mount))
        .max_by_key(|(mount, _)| mount.len());
    kind.is_some_and(|(_, kind)| matches!(kind, "tmpfs" | "ramfs"))
}

/// Removes the folders of processes that are no more.
fn sweep(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if process.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            // Another user's folder stays: it cannot be removed.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::is_in_memory;

    #[test]
    fn the_innermost_mount_counts() {
        let mounts = "disk / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\nd /run/disk ext4 rw 0 0\n";
        assert!(is_in_memory(Path::new("/run/user/1"), mounts));
        assert!(!is_in_memory(Path::new("/run/disk/x"), mounts));
        assert!(!is_in_memory(Path::new("/home"), mounts));
    }
}
