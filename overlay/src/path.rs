//! Paths of a tree as text: relative to its root, with `/`, without `.`, `..` and empty parts.

use crate::error::Error;

/// The folder that holds a path; none above the root.
pub(crate) fn parent(path: &str) -> Option<&str> {
    match path.rsplit_once('/') {
        Some((folder, _)) => Some(folder),
        None if path.is_empty() => None,
        None => Some(""),
    }
}

/// A name in a folder.
pub fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

/// The last part.
pub fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// `name` seen from `folder`, without `.` and `..`; none when it leads above the root.
pub fn clean(folder: &str, name: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// A path from the root, in whatever way it is written; `..` never leads above the root.
pub fn inside(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// True for a path at or below a folder.
pub fn is_within(path: &str, folder: &str) -> bool {
    folder.is_empty()
        || path == folder
        || path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with('/'))
}

/// A folder's path for messages.
pub(crate) fn shown(path: &str) -> &str {
    if path.is_empty() {
        "the root of the tree"
    } else {
        path
    }
}

/// Refuses what no path of a tree can be.
pub(crate) fn check(name: &str) -> Result<(), Error> {
    let reason = if name.is_empty() {
        "is empty"
    } else if name.contains('\0') {
        "holds a NUL"
    } else if name.starts_with('/') {
        "is absolute; paths are relative to the kustomization's folder"
    } else if is_remote(name) {
        "is remote; only files and folders of the tree are read"
    } else {
        return Ok(());
    };
    Err(Error::new(format!(
        "the path `{}` {reason}",
        name.escape_debug()
    )))
}

/// True for what kustomize would fetch: URLs, and the short forms of well-known hosts.
pub(crate) fn is_remote(name: &str) -> bool {
    name.contains("://")
        || name.starts_with("git::")
        || name.starts_with("git@")
        || name.starts_with("github.com/")
        || name.starts_with("github.com:")
        || name.contains("?ref=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_and_never_leave_the_root() {
        assert_eq!(clean("a/b", "../c/./d"), Some("a/c/d".to_owned()));
        assert_eq!(clean("a", "../.."), None);
        assert_eq!(clean("", "x//y/"), Some("x/y".to_owned()));
        assert!(is_within("a/b", "a") && !is_within("ab", "a") && is_within("x", ""));
    }

    #[test]
    fn paths_stay_inside_the_tree() {
        for (path, expected) in [
            ("", ""),
            ("/", ""),
            ("./", ""),
            ("./platform/_base", "platform/_base"),
            ("a/./b/", "a/b"),
            ("../../a", "a"),
            ("../../etc", "etc"),
            ("a/../../b", "b"),
            ("a/../../b/", "b"),
        ] {
            assert_eq!(inside(path), expected, "{path}");
        }
    }

    #[test]
    fn what_no_path_can_be_is_refused() {
        for name in [
            "",
            "/etc/passwd",
            "a\0b",
            "https://example.org/x",
            "github.com/o/r",
            "git@host:x",
        ] {
            assert!(check(name).is_err(), "{name:?}");
        }
        assert!(check("../base").is_ok());
    }
}
