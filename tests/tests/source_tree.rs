//! What a snapshot holds: the tree of a commit as Flux's artifact would have it, with Git's own ids.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use controller::source::{Filtered, GitTree, Selection, SourceError};
use overlay::{EntryKind, ObjectHash, Tree, TreeError};
use weir_tests::{GitServer, GitServerOptions, Repository};

/// A working repository; nothing is pushed anywhere.
fn repository() -> Repository {
    Repository::create("http://127.0.0.1:1/none.git", None)
}

fn head(work: &Repository) -> GitTree {
    GitTree::local(work.path(), "HEAD").unwrap().0
}

fn ignoring(ignore: Option<&str>) -> Selection {
    Selection {
        ignore: ignore.map(str::to_owned),
        folders: Vec::new(),
    }
}

fn filtered(work: &Repository, ignore: Option<&str>) -> Filtered {
    Filtered::new(head(work), &ignoring(ignore)).unwrap()
}

/// All files below a folder, as a build would find them.
fn files(tree: &dyn Tree, folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in tree.list(folder).unwrap() {
        let path = if folder.is_empty() {
            entry.name
        } else {
            format!("{folder}/{}", entry.name)
        };
        match entry.kind {
            EntryKind::Folder => found.extend(files(tree, &path)),
            _ => found.push(path),
        }
    }
    found
}

#[test]
fn a_commit_is_read_with_git_s_ids() {
    let work = repository();
    work.write("a/b/c.txt", "text")
        .write("a.txt", "x")
        .write("a-b/d.txt", "y");
    std::os::unix::fs::symlink("../a.txt", work.path().join("a/link")).unwrap();
    work.commit("first");
    let tree = head(&work);
    let names: Vec<_> = tree
        .list("")
        .unwrap()
        .into_iter()
        .map(|entry| (entry.name, entry.kind))
        .collect();
    assert_eq!(
        names,
        [
            ("a".to_owned(), EntryKind::Folder),
            ("a-b".to_owned(), EntryKind::Folder),
            ("a.txt".to_owned(), EntryKind::File),
        ]
    );
    for path in ["a", "a/b", "a/b/c.txt", "a/link", "a-b/d.txt"] {
        let id = work.git(&["rev-parse", &format!("HEAD:{path}")]);
        assert_eq!(tree.id(path).unwrap().unwrap().to_string(), id, "{path}");
    }
    assert_eq!(
        tree.id("").unwrap().unwrap().to_string(),
        work.git(&["rev-parse", "HEAD^{tree}"])
    );
    assert_eq!(&*tree.read("a/link").unwrap(), b"../a.txt");
    assert_eq!(tree.kind("a/link").unwrap(), Some(EntryKind::Link));
    assert_eq!(tree.kind("a/link/x").unwrap(), None);
    assert_eq!(tree.kind("a.txt/x").unwrap(), None);
    assert_eq!(tree.kind("nowhere").unwrap(), None);
    assert!(matches!(
        tree.read("a"),
        Err(TreeError::NotFound { wanted: "file", .. })
    ));
    assert!(matches!(
        tree.list("a.txt"),
        Err(TreeError::NotFound {
            wanted: "folder",
            ..
        })
    ));
}

#[test]
fn a_revision_that_is_not_there_is_an_error_that_names_it() {
    let work = repository();
    work.write("a.txt", "x").commit("first");
    let error = GitTree::local(work.path(), "nowhere").err().unwrap();
    assert!(error.to_string().contains("nowhere"), "{error}");
}

#[test]
fn what_flux_leaves_out_is_not_there() {
    let work = repository();
    work.write("apps/a.yaml", "a: 1")
        .write("apps/logo.png", "png")
        .write("images/only.png", "png")
        .write(".github/workflows/ci.yaml", "x")
        .write(".sops.yaml", "x")
        .write(".gitignore", "x");
    std::os::unix::fs::symlink("a.yaml", work.path().join("apps/link.yaml")).unwrap();
    work.commit("first");
    let tree = filtered(&work, None);
    assert_eq!(files(&tree, ""), ["apps/a.yaml"]);
    for path in [
        "apps/logo.png",
        "images",
        "images/only.png",
        ".github",
        ".sops.yaml",
        "apps/link.yaml",
    ] {
        assert_eq!(tree.kind(path).unwrap(), None, "{path}");
        assert_eq!(tree.id(path).unwrap(), None, "{path}");
        assert!(tree.read(path).is_err(), "{path}");
    }
    assert_eq!(
        tree.id("apps/a.yaml").unwrap(),
        Some(ObjectHash::of_blob(b"a: 1"))
    );
}

#[test]
fn patterns_of_the_repository_and_of_the_spec_are_joined() {
    let work = repository();
    work.write("apps/a.yaml", "a")
        .write("apps/a.md", "a")
        .write("apps/keep.md", "a")
        .write("docs/b.yaml", "b")
        .write("logo.png", "png")
        .write("apps/.sourceignore", "*.md\n");
    work.commit("first");
    assert_eq!(
        files(&filtered(&work, None), ""),
        [
            "apps/.sourceignore",
            "apps/a.yaml",
            "docs/b.yaml",
            "logo.png"
        ]
    );
    let tree = filtered(&work, Some("/docs/\n!keep.md"));
    assert_eq!(
        files(&tree, ""),
        [
            "apps/.sourceignore",
            "apps/a.yaml",
            "apps/keep.md",
            "logo.png"
        ]
    );
    let tree = filtered(&work, Some("/*\n!/apps"));
    assert_eq!(
        files(&tree, ""),
        [
            "apps/.sourceignore",
            "apps/a.md",
            "apps/a.yaml",
            "apps/keep.md"
        ]
    );
}

#[test]
fn a_sparse_checkout_takes_the_folders_that_it_names() {
    let work = repository();
    work.write("apps/a.yaml", "a")
        .write("apps2/b.yaml", "b")
        .write("other/c.yaml", "c")
        .write(".sourceignore", "*.yaml")
        .commit("first");
    let sparse = |folders: &[&str]| {
        let folders = folders.iter().map(|folder| (*folder).to_owned()).collect();
        Filtered::new(
            head(&work),
            &Selection {
                ignore: None,
                folders,
            },
        )
    };
    assert_eq!(files(&sparse(&["./apps/"]).unwrap(), ""), ["apps/a.yaml"]);
    assert_eq!(
        files(&sparse(&["apps", "other"]).unwrap(), ""),
        ["apps/a.yaml", "apps2/b.yaml", "other/c.yaml"]
    );
    let error = sparse(&["apps", "nowhere"]).err().unwrap();
    assert_eq!(error, SourceError::SparseCheckout("nowhere".to_owned()));
    assert!(
        error
            .to_string()
            .contains("sparse checkout dir 'nowhere' does not exist in repository")
    );
}

#[test]
fn a_folder_s_id_changes_with_its_files_and_with_the_rules() {
    let work = repository();
    work.write("apps/a.yaml", "a")
        .write("other/b.yaml", "b")
        .commit("first");
    let first = filtered(&work, None);
    let again = filtered(&work, None);
    let ruled = filtered(&work, Some("*.md"));
    assert_eq!(first.id("apps").unwrap(), again.id("apps").unwrap());
    assert_ne!(first.id("apps").unwrap(), ruled.id("apps").unwrap());
    work.write("apps/a.yaml", "changed").commit("second");
    let second = filtered(&work, None);
    assert_ne!(first.id("apps").unwrap(), second.id("apps").unwrap());
    assert_eq!(first.id("other").unwrap(), second.id("other").unwrap());
}

#[test]
fn trees_are_read_by_many_threads_at_once() {
    let work = repository();
    for number in 0..50 {
        work.write(
            &format!("d{}/f{number}.txt", number % 7),
            format!("{number}"),
        );
    }
    work.commit("first");
    let tree = filtered(&work, None);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for path in files(&tree, "") {
                    let number = path.trim_end_matches(".txt").rsplit('f').next().unwrap();
                    assert_eq!(&*tree.read(&path).unwrap(), number.as_bytes());
                }
            });
        }
    });
}

#[test]
fn folders_nested_without_end_are_refused() {
    let server = GitServer::start(GitServerOptions::default());
    let work = server.create_repository("deep");
    let path = vec!["d"; 600].join("/");
    work.write("a.txt", "x").commit("first");
    let blob = work.git(&["hash-object", "-w", "a.txt"]);
    work.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("100644,{blob},{path}/a.yaml"),
    ]);
    work.git(&["commit", "--quiet", "--message", "deep"]);
    let error = Filtered::new(head(&work), &ignoring(None)).err().unwrap();
    assert!(error.to_string().contains("deep"), "{error}");
}
