//! Which revision of a repository is wanted, and what it is called once found.

use crate::api::git_repository::GitRepositoryRef;

/// What is wanted of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// The head of a branch.
    Branch(String),
    /// A tag.
    Tag(String),
    /// The newest tag in a range of versions.
    Semver(String),
    /// A reference by its full name, such as `refs/pull/420/head`.
    Name(String),
    /// One commit.
    Commit {
        /// Its id, in hexadecimal.
        id: String,
        /// The branch that it is said to be on; part of the revision's name.
        branch: Option<String>,
    },
}

impl Reference {
    /// Flux's precedence: commit, name, tag, semver, branch; `master` when nothing is given. (Its documentation puts
    /// semver before tag, its code does not.)
    pub fn from_spec(spec: Option<&GitRepositoryRef>) -> Self {
        let given = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
        let Some(spec) = spec else {
            return Self::Branch("master".to_owned());
        };
        let branch = given(&spec.branch);
        if let Some(id) = given(&spec.commit) {
            return Self::Commit { id, branch };
        }
        given(&spec.name)
            .map(Self::Name)
            .or_else(|| given(&spec.tag).map(Self::Tag))
            .or_else(|| given(&spec.semver).map(Self::Semver))
            .unwrap_or_else(|| Self::Branch(branch.unwrap_or_else(|| "master".to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_precedence_of_the_fields() {
        let all = GitRepositoryRef {
            branch: Some("main".into()),
            tag: Some("v1".into()),
            semver: Some(">=1".into()),
            name: Some("refs/pull/1/head".into()),
            commit: Some("abc".into()),
        };
        let without = |strip: fn(&mut GitRepositoryRef)| {
            let mut spec = all.clone();
            strip(&mut spec);
            Reference::from_spec(Some(&spec))
        };
        let commit = Reference::Commit {
            id: "abc".into(),
            branch: Some("main".into()),
        };
        assert_eq!(without(|_| ()), commit);
        assert_eq!(
            without(|spec| spec.commit = None),
            Reference::Name("refs/pull/1/head".into())
        );
        let no_name: fn(&mut GitRepositoryRef) = |spec| (spec.commit, spec.name) = (None, None);
        assert_eq!(without(no_name), Reference::Tag("v1".into()));
        let no_tag: fn(&mut GitRepositoryRef) =
            |spec| (spec.commit, spec.name, spec.tag) = (None, None, None);
        assert_eq!(without(no_tag), Reference::Semver(">=1".into()));
        assert_eq!(
            Reference::from_spec(None),
            Reference::Branch("master".into())
        );
        assert_eq!(
            Reference::from_spec(Some(&GitRepositoryRef::default())),
            Reference::Branch("master".into())
        );
    }
}
