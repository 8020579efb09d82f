//! From a snapshot and a spec to the objects that are wanted: the composer and the variables, off the async threads.

use std::sync::Arc;

use overlay::build::{Additions, Opener, Options, Read, Reads};
use overlay::path::inside;
use overlay::yaml::Node;
use overlay::{Build, EntryKind, Object, Shared, Tree};
use sops::Asked;

use super::asking::{Attempt, settle};
use super::context::Context;
use super::encrypted;
use super::fill_in;
use super::inputs::Inputs;
use super::run::Run;
use crate::api::kustomization::{Image, KustomizationSpec, Patch, Selector, reason};
use crate::report::failure::{Again, Failure};
use crate::source::Snapshot;

/// So many paths are looked up in less time than it takes to hand the work to another thread.
const FEW: usize = 32;

/// What a spec makes of a snapshot.
#[derive(Debug)]
pub struct Rendered {
    /// The objects in build order.
    pub objects: Vec<Object>,
    /// All that the build looked at.
    pub reads: Reads,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Builds and substitutes, with what key services answer.
pub async fn render(
    run: &Run<'_>,
    snapshot: Arc<Snapshot>,
    inputs: Inputs,
) -> Result<Rendered, Failure> {
    let is_shared = run.shares_source();
    settle(inputs, |inputs| {
        let (spec, snapshot) = (run.object.spec.clone(), snapshot.clone());
        blocking(run.context, move || {
            let shared = is_shared.then_some(snapshot.shared.as_ref());
            attempt(&spec, snapshot.tree.as_ref(), shared, inputs)
        })
    })
    .await
}

/// One build, here and now, and what it lacks. What is shared is of this tree.
pub fn attempt(
    spec: &KustomizationSpec,
    tree: &dyn Tree,
    shared: Option<&Shared>,
    inputs: Inputs,
) -> Attempt {
    let asked = Asked::default();
    let outcome = build(spec, tree, shared, &inputs, &asked);
    Attempt {
        inputs,
        outcome,
        asked: asked.groups(),
    }
}

/// Whether a tree holds exactly what was read before, so that the same build gives the same objects.
pub async fn unchanged(context: &Context, reads: Arc<Reads>, snapshot: Arc<Snapshot>) -> bool {
    let (tree, few) = (snapshot.tree.clone(), reads.paths.len() <= FEW);
    let check = move || {
        let mut paths = reads.paths.iter();
        paths.all(|(path, read)| holds(tree.as_ref(), path, *read))
    };
    match few {
        true => check(),
        false => blocking(context, check).await.unwrap_or(false),
    }
}

/// Runs work for the processor, as much at once as there are processors.
async fn blocking<T: Send + 'static>(
    context: &Context,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(
            reason::BUILD_FAILED,
            format!("the build was cut short: {error}"),
        )
        .again(Again::Backoff)
    };
    let _turn = context
        .processors
        .acquire()
        .await
        .map_err(|error| failed(&error))?;
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| failed(&error))
}

fn build(
    spec: &KustomizationSpec,
    tree: &dyn Tree,
    shared: Option<&Shared>,
    inputs: &Inputs,
    asked: &Asked,
) -> Result<Rendered, Failure> {
    let opener = inputs.opener(asked);
    let door = opener.as_ref().map(|opener| opener as &dyn Opener);
    let mut built = compose(spec, tree, shared, door)?;
    if let Some(opener) = &opener {
        encrypted::open_values(opener, &mut built.objects)?;
    }
    encrypted::refuse(&built.objects, opener.is_some())?;
    if opener.is_some() {
        fill_in::refuse(&built)?;
    }
    if let Some(variables) = &inputs.variables {
        built
            .substitute(variables, !inputs.lenient)
            .map_err(Failure::of(reason::BUILD_FAILED))?;
    }
    let of_opener = opener.iter().flat_map(sops::Opener::warnings);
    let warnings = built.warnings.iter().map(ToString::to_string);
    let warnings = warnings.chain(of_opener).collect();
    Ok(Rendered {
        objects: built.objects,
        reads: built.reads,
        warnings,
    })
}

/// What the composer makes of a spec, before values that are encrypted files are opened and variables put in.
pub fn compose(
    spec: &KustomizationSpec,
    tree: &dyn Tree,
    shared: Option<&Shared>,
    opener: Option<&dyn Opener>,
) -> Result<Build, Failure> {
    let path = folder(spec);
    if !matches!(
        tree.kind(&path),
        Ok(Some(EntryKind::Folder | EntryKind::Link))
    ) {
        let link = match tree.leaves_out_link(&path) {
            true => " (it is a symbolic link, and those are left out of sources)",
            false => "",
        };
        let message = format!("kustomization path not found: {path}{link}");
        return Err(Failure::new(reason::ARTIFACT_FAILED, message));
    }
    let options = Options {
        flux: true,
        additions: additions(spec),
        opener,
        shared,
        record_reads: true,
        ..Options::default()
    };
    overlay::build(tree, &path, &options).map_err(Failure::of(reason::BUILD_FAILED))
}

/// The folder that a spec builds.
pub fn folder(spec: &KustomizationSpec) -> String {
    inside(spec.path.as_deref().unwrap_or_default())
}

/// What the spec adds to the kustomization file.
pub fn additions(spec: &KustomizationSpec) -> Additions {
    let metadata = spec.common_metadata.clone().unwrap_or_default();
    Additions {
        patches: spec.patches.iter().map(patch).collect(),
        images: spec.images.iter().map(image).collect(),
        components: spec.components.clone(),
        ignore_missing_components: spec.ignore_missing_components == Some(true),
        target_namespace: spec.target_namespace.clone(),
        name_prefix: spec.name_prefix.clone(),
        name_suffix: spec.name_suffix.clone(),
        common_labels: metadata.labels.unwrap_or_default(),
        common_annotations: metadata.annotations.unwrap_or_default(),
        build_metadata: (!spec.build_metadata.is_empty()).then(|| spec.build_metadata.clone()),
    }
}

fn patch(patch: &Patch) -> Node {
    let mut node = texts([("patch", Some(&patch.patch))]);
    if let (Some(target), Some(mapping)) = (&patch.target, node.as_mapping_mut()) {
        mapping.insert("target", selector(target));
    }
    node
}

fn selector(selector: &Selector) -> Node {
    texts([
        ("group", selector.group.as_ref()),
        ("version", selector.version.as_ref()),
        ("kind", selector.kind.as_ref()),
        ("name", selector.name.as_ref()),
        ("namespace", selector.namespace.as_ref()),
        ("labelSelector", selector.label_selector.as_ref()),
        ("annotationSelector", selector.annotation_selector.as_ref()),
    ])
}

fn image(image: &Image) -> Node {
    texts([
        ("name", Some(&image.name)),
        ("newName", image.new_name.as_ref()),
        ("newTag", image.new_tag.as_ref()),
        ("digest", image.digest.as_ref()),
    ])
}

/// A mapping of the texts that are given.
fn texts<const N: usize>(entries: [(&str, Option<&String>); N]) -> Node {
    let mut node = Node::mapping();
    if let Some(mapping) = node.as_mapping_mut() {
        for (key, text) in entries {
            if let Some(text) = text {
                mapping.insert(key, Node::string(text.as_str()));
            }
        }
    }
    node
}

fn holds(tree: &dyn Tree, path: &str, read: Read) -> bool {
    let (kind, id) = match read {
        Read::File(id) => (EntryKind::File, id),
        Read::Folder(id) => (EntryKind::Folder, id),
        Read::Link(id) => (EntryKind::Link, id),
        Read::Absent => return matches!(tree.kind(path), Ok(None)),
    };
    tree.kind(path) == Ok(Some(kind)) && tree.id(path) == Ok(Some(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use overlay::{MemTree, ObjectHash};

    #[test]
    fn a_missing_folder_is_the_artifact_s_fault() {
        let spec = KustomizationSpec {
            path: Some("./none".to_owned()),
            ..Default::default()
        };
        let attempt = attempt(&spec, &MemTree::new(), None, Inputs::default());
        let failure = attempt.outcome.expect_err("no such folder");
        assert_eq!(failure.reason, reason::ARTIFACT_FAILED);
        assert_eq!(failure.message, "kustomization path not found: none");
    }

    #[test]
    fn reads_hold_until_one_of_them_changes() {
        let mut tree = MemTree::new();
        tree.insert("a/file.yaml", *b"one");
        let read = Read::File(ObjectHash::of_blob(b"one"));
        assert!(holds(&tree, "a/file.yaml", read));
        assert!(holds(&tree, "a/other.yaml", Read::Absent));
        tree.insert("a/file.yaml", *b"two");
        tree.insert("a/other.yaml", *b"new");
        assert!(!holds(&tree, "a/file.yaml", read));
        assert!(!holds(&tree, "a/other.yaml", Read::Absent));
    }

    #[test]
    fn an_unset_variable_is_told_with_the_file_that_a_patch_wrote_it_in() {
        let mut tree = MemTree::new();
        tree.insert(
            "envs/prod/kustomization.yaml",
            *b"resources: [../../base]\npatches: [{path: size.yaml}]\n",
        );
        tree.insert(
            "envs/prod/size.yaml",
            *b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop}\ndata:\n  size: ${size}\n",
        );
        tree.insert("base/kustomization.yaml", *b"resources: [shop.yaml]\n");
        tree.insert(
            "base/shop.yaml",
            *b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop}\n",
        );
        let spec = KustomizationSpec {
            path: Some("./envs/prod".to_owned()),
            ..Default::default()
        };
        let inputs = Inputs {
            variables: Some(overlay::vars::Variables::default()),
            ..Inputs::default()
        };
        let attempt = attempt(&spec, &tree, None, inputs);
        let failure = attempt.outcome.expect_err("nobody sets the variable");
        assert_eq!(failure.reason, reason::BUILD_FAILED);
        assert_eq!(
            failure.message,
            "envs/prod/size.yaml:5:9: substitute variables: ConfigMap/shop: variable not set (strict mode): \"size\" \
             (write `$$` for a dollar sign that is none of Flux's)"
        );
    }
}
