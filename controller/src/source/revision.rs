//! A folder of a Git revision, for the command line: `weir build --rev main envs/prod-eu` reads the object database of
//! the repository at hand, whatever is checked out.

use std::path::{Component, Path, PathBuf};

use gix::bstr::ByteSlice;

use super::error::SourceError;
use super::git_tree::GitTree;

/// Why a revision cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RevisionError {
    /// No repository is there.
    #[error("{} is in no Git repository: {problem}", folder.display())]
    NoRepository {
        /// Where one was looked for.
        folder: PathBuf,
        /// What was found instead.
        problem: String,
    },
    /// The repository knows no such revision.
    #[error("{} has no revision `{revision}`: {problem}", repository.display())]
    Unknown {
        /// Where the repository is.
        repository: PathBuf,
        /// What was asked for.
        revision: String,
        /// What Git's rules make of it.
        problem: String,
        /// The names of its branches and tags.
        names: Vec<String>,
    },
    /// The folder is not below the repository.
    #[error("{} is outside {}", folder.display(), repository.display())]
    Outside {
        /// The folder.
        folder: PathBuf,
        /// The work tree.
        repository: PathBuf,
    },
    /// The working directory cannot be told.
    #[error("reading the working directory: {0}")]
    WorkingDirectory(#[from] std::io::Error),
}

/// The tree of a revision, and a folder's path in it. The folder need not be checked out. It is relative to the working
/// directory, and with a `repository` given to the root of that.
pub fn open(
    folder: &Path,
    revision: &str,
    repository: Option<&Path>,
) -> Result<(GitTree, String), RevisionError> {
    let (found, path) = find(folder, repository)?;
    let (tree, _) =
        GitTree::of(&found, revision).map_err(|error| unknown(&found, revision, &error))?;
    Ok((tree, path))
}

/// The trees of two revisions, which read one object database, and a folder's path in them.
pub fn open_both(
    folder: &Path,
    revisions: [&str; 2],
    repository: Option<&Path>,
) -> Result<([GitTree; 2], String), RevisionError> {
    let (found, path) = find(folder, repository)?;
    let [one, other] = revisions;
    let (first, _) = GitTree::of(&found, one).map_err(|error| unknown(&found, one, &error))?;
    let second = first
        .beside(&found, other)
        .map_err(|error| unknown(&found, other, &error))?;
    Ok(([first, second], path))
}

/// The repository, and the folder's path in it.
fn find(
    folder: &Path,
    repository: Option<&Path>,
) -> Result<(gix::Repository, String), RevisionError> {
    let (found, path) = match repository {
        Some(given) => {
            let found = gix::open(given).map_err(|error| no_repository(given, &error))?;
            (found, lexically(folder))
        }
        None => {
            let (real, below) = deepest_real(&lexically(&std::path::absolute(folder)?));
            let found = gix::discover(&real).map_err(|error| no_repository(&real, &error))?;
            let path = path_in(&found, &real)?.join(below);
            (found, path)
        }
    };
    let path = path.to_string_lossy();
    Ok((found, path.trim_matches('/').to_owned()))
}

fn no_repository(folder: &Path, error: &dyn std::fmt::Display) -> RevisionError {
    RevisionError::NoRepository {
        folder: folder.to_owned(),
        problem: error.to_string(),
    }
}

/// Without `.` and `..`, by the text alone: what is asked for may be gone from the disk.
fn lexically(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(clean.pop()),
            part => clean.push(part),
        }
    }
    clean
}

/// The part of a path that is there, links followed, and the rest.
fn deepest_real(path: &Path) -> (PathBuf, PathBuf) {
    for above in path.ancestors() {
        if let Ok(real) = above.canonicalize()
            && real.is_dir()
        {
            let below = path.strip_prefix(above).unwrap_or(Path::new(""));
            return (real, below.to_owned());
        }
    }
    (PathBuf::from("/"), path.to_owned())
}

/// Where a folder that is there lies in the work tree; a bare repository's own folder stands for one.
fn path_in(repository: &gix::Repository, real: &Path) -> Result<PathBuf, RevisionError> {
    let root = place_of(repository).canonicalize()?;
    match real.strip_prefix(&root) {
        Ok(path) => Ok(path.to_owned()),
        Err(_) => Err(RevisionError::Outside {
            folder: real.to_owned(),
            repository: root,
        }),
    }
}

fn place_of(repository: &gix::Repository) -> &Path {
    repository.workdir().unwrap_or_else(|| repository.git_dir())
}

fn unknown(repository: &gix::Repository, revision: &str, error: &SourceError) -> RevisionError {
    let problem = match error {
        SourceError::Cache { problem, .. } => problem
            .strip_prefix(revision)
            .and_then(|problem| problem.strip_prefix(": "))
            .unwrap_or(problem)
            .to_owned(),
        other => other.to_string(),
    };
    RevisionError::Unknown {
        repository: place_of(repository).to_owned(),
        revision: revision.to_owned(),
        problem,
        names: names(repository),
    }
}

/// Branches, those of remotes too, and tags, as one would type them.
fn names(repository: &gix::Repository) -> Vec<String> {
    let Ok(references) = repository.references() else {
        return Vec::new();
    };
    let Ok(all) = references.all() else {
        return Vec::new();
    };
    let mut names: Vec<String> = all
        .filter_map(Result::ok)
        .map(|reference| reference.name().shorten().to_str_lossy().into_owned())
        .filter(|name| !name.ends_with("/HEAD"))
        .collect();
    names.dedup();
    names
}

impl RevisionError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoRepository { .. } => {
                Some("`--git-dir` names a repository elsewhere, bare ones too".to_owned())
            }
            Self::Unknown {
                revision, names, ..
            } => {
                let known: Vec<&str> = names.iter().map(String::as_str).collect();
                match overlay::suggest::nearest(revision, &known) {
                    Some(near) => Some(format!("did you mean `{near}`?")),
                    None if names.is_empty() => Some("it has no commit yet".to_owned()),
                    None => Some(format!("it has {}", some_of(&known))),
                }
            }
            Self::Outside { .. } | Self::WorkingDirectory(_) => None,
        }
    }
}

/// The first few of a list of names.
fn some_of(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    let mut text = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}
