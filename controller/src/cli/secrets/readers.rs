//! Which Kustomizations of a repository decrypt which of its files: each is built, and what it read is compared.

use std::path::{Path, PathBuf};

use overlay::Options;
use overlay::build::{Order, Read};
use overlay::path::inside;
use overlay::yaml::{Dialect, Node};
use serde_json::{Value, json};
use sops::Format;

use crate::api::kustomization::GROUP;
use crate::source::work_tree;

/// A Kustomization that decrypts.
#[derive(Clone)]
pub(super) struct Reader {
    /// Namespace and name.
    pub(super) name: String,
    /// The file that it stands in.
    file: PathBuf,
    /// The Secret with its keys; none when those of the whole cluster are used.
    secret: Option<String>,
    /// The files that its build reads.
    files: Vec<PathBuf>,
}

impl Reader {
    pub(super) fn reads(&self, file: &Path) -> bool {
        let file = file.canonicalize();
        file.is_ok_and(|file| self.files.contains(&file))
    }

    pub(super) fn value(&self) -> Value {
        json!({
            "kustomization": self.name,
            "file": self.file.display().to_string(),
            "secret": self.secret,
        })
    }
}

/// The Kustomizations among these files that ask for decryption.
pub(super) fn readers(folder: &Path, files: &[PathBuf]) -> Vec<Reader> {
    let Some(root) = root(folder) else {
        return Vec::new();
    };
    files
        .iter()
        .filter(|file| Format::of_name(&file.to_string_lossy()) == Some(Format::Yaml))
        .flat_map(|file| of_file(&root, folder, file))
        .collect()
}

/// The folder of the whole repository; paths of Kustomizations begin there.
fn root(folder: &Path) -> Option<PathBuf> {
    let folder = folder.canonicalize().ok()?;
    let around = |folder: &&Path| folder.join(".git").exists();
    let root = folder.ancestors().find(around).unwrap_or(&folder);
    Some(root.to_owned())
}

fn of_file(root: &Path, folder: &Path, file: &Path) -> Vec<Reader> {
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    if size > sops::SIZE_LIMIT as u64 {
        return Vec::new();
    }
    let bytes = std::fs::read(file).unwrap_or_default();
    // Most files say nothing of decryption: those are not read as YAML.
    if !bytes.windows(10).any(|window| window == b"decryption") {
        return Vec::new();
    }
    let documents = overlay::yaml::read_documents(&bytes, 0, Dialect::Kustomize);
    let shown = file.strip_prefix(folder).unwrap_or(file);
    documents
        .unwrap_or_default()
        .iter()
        .filter_map(|document| of_document(root, shown, document))
        .collect()
}

fn of_document(root: &Path, file: &Path, document: &Node) -> Option<Reader> {
    let text = |path: &[&str]| document.find_str(path).map(str::to_owned);
    let group = text(&["apiVersion"])?;
    let is_kustomization = text(&["kind"])? == "Kustomization" && group.starts_with(GROUP);
    if !is_kustomization || document.find(&["spec", "decryption"]).is_none() {
        return None;
    }
    let path = text(&["spec", "path"]).unwrap_or_default();
    let name = text(&["metadata", "name"])?;
    Some(Reader {
        name: match text(&["metadata", "namespace"]) {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name,
        },
        file: file.to_owned(),
        secret: text(&["spec", "decryption", "secretRef", "name"]),
        files: files_of(root, &inside(&path)),
    })
}

/// The files that a build of the folder reads; none when it does not build here.
fn files_of(root: &Path, path: &str) -> Vec<PathBuf> {
    let options = Options {
        flux: true,
        order: Order::Fifo,
        record_reads: true,
        ..Options::default()
    };
    let built = work_tree::open(&root.join(path), Some(root))
        .ok()
        .and_then(|(tree, path)| overlay::build(&tree, &path, &options).ok());
    let reads = built.map(|built| built.reads.paths).unwrap_or_default();
    reads
        .iter()
        .filter(|(_, read)| matches!(read, Read::File(_)))
        .map(|(path, _)| root.join(path))
        .collect()
}
