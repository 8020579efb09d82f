//! The one call: a tree, a folder in it and options become objects, with the record of all that was read.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

pub use crate::budget::Budget;

use crate::accumulate::{self, Accumulated, accumulate};
use crate::alias;
use crate::configuration::Configuration;
use crate::decode::Text;
use crate::error::{Error, Errors, Mistakes, Place, Warning};
use crate::files::Files;
use crate::flux;
use crate::history::{self, Asker, History};
use crate::kustomization::Kustomization;
use crate::kustomization_file::{self, Kind};
use crate::load::Session;
use crate::object::Object;
use crate::provenance::{self, BuildMetadata};
use crate::refs;
use crate::resource::Resource;
use crate::resources::Resources;
use crate::shared::{Ahead, Shared};
use crate::transform::Transformer;
use crate::transform::hash::add_hashes;
use crate::transform::pairs::SetPairs;
use crate::transform::sort;
use crate::tree::{ObjectHash, Tree};
use crate::yaml::{Mark, Node};

/// How encrypted files are opened as the composer reads them. The caller gives it; the composer has no keys.
pub trait Opener: Send + Sync {
    /// `Ok(None)` when the bytes are not an encrypted file.
    fn open(&self, file: &Sealed<'_>) -> Result<Option<Opened>, Error>;
}

/// A file that may be encrypted, on its way through the door.
#[derive(Clone, Copy, Debug)]
pub struct Sealed<'a> {
    /// Path from the root of the tree.
    pub path: &'a str,
    /// The name that decides the format where it differs from the path: the key of a generator's `files` entry.
    pub name: &'a str,
    /// The bytes as stored.
    pub bytes: &'a [u8],
    /// What is wanted of it.
    pub purpose: Purpose,
}

/// What the composer reads a file for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Manifests: the answer is [`Opened::Documents`].
    Resource,
    /// A patch: the answer is [`Opened::Documents`].
    Patch,
    /// `files` of a secretGenerator: the answer is [`Opened::Text`].
    GeneratorFile,
    /// `envs` of a secretGenerator: the answer is [`Opened::Text`].
    GeneratorEnvs,
}

/// What an opener found inside.
pub enum Opened {
    /// The documents, every scalar that was encrypted marked secret.
    Documents(Vec<Node>),
    /// The plain bytes; whatever is made of them is marked secret.
    Text(zeroize::Zeroizing<Vec<u8>>),
    /// A patch that says neither to whom it is nor what it changes. What is given, which has an identity of its own, is
    /// merged into every object that the patch may be about.
    UnreadPatch(Node),
    /// The file is encrypted and stays as it is stored, in this build.
    Closed,
}

/// The order of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// What the root kustomization's `sortOptions` say, else `kustomize build`'s default, the legacy order.
    #[default]
    Default,
    /// Input order (`--reorder=none`; Flux).
    Fifo,
}

/// Which files a kustomization may name (`--load-restrictor`). Nothing ever leaves the tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoadRestrictor {
    /// Files at or below the folder of the kustomization that names them; folders anywhere in the tree.
    #[default]
    RootOnly,
    /// Anything in the tree.
    None,
}

/// What a Flux Kustomization's spec adds to the kustomization file at its path (flux.md, 2.1 and 2.3).
/// Lists are nodes, so that errors in them carry their own places.
#[derive(Clone, Debug, Default)]
pub struct Additions {
    /// Appended to `patches`.
    pub patches: Vec<Node>,
    /// Merged into `images` by name.
    pub images: Vec<Node>,
    /// Appended to `components`; local and relative only.
    pub components: Vec<String>,
    /// Skip components whose folder is missing.
    pub ignore_missing_components: bool,
    /// Overrides `namespace`.
    pub target_namespace: Option<String>,
    /// Overrides `namePrefix`.
    pub name_prefix: Option<String>,
    /// Overrides `nameSuffix`.
    pub name_suffix: Option<String>,
    /// Labels set on every object after the build.
    pub common_labels: BTreeMap<String, String>,
    /// Annotations set on every object after the build.
    pub common_annotations: BTreeMap<String, String>,
    /// Replaces `buildMetadata`.
    pub build_metadata: Option<Vec<String>>,
}

/// How to build.
#[derive(Default)]
pub struct Options<'a> {
    /// Flux's mode: a bare folder is given a kustomization file, fifo order, no load restriction inside the tree.
    pub flux: bool,
    /// The order of the output; [`Options::flux`] implies fifo.
    pub order: Order,
    /// Which files may be named.
    pub load_restrictor: LoadRestrictor,
    /// Adds `app.kubernetes.io/managed-by` (`--enable-managedby-label`).
    pub managed_by_label: bool,
    /// What a Flux Kustomization adds.
    pub additions: Additions,
    /// Opens encrypted files; without it they stay as stored.
    pub opener: Option<&'a dyn Opener>,
    /// How much the build may ask for.
    pub budget: Budget,
    /// What this build shares with others of the same tree.
    pub shared: Option<&'a Shared>,
    /// Fill [`Build::reads`]; costs one hash of each file where the tree does not know its ids.
    pub record_reads: bool,
    /// Fill [`Build::history`]; costs time and memory, and nothing when it is not asked for.
    pub record_history: bool,
}

/// What a read found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// A file was read; its blob.
    File(ObjectHash),
    /// A folder was listed; its tree.
    Folder(ObjectHash),
    /// A symbolic link was passed; the blob of its target text.
    Link(ObjectHash),
    /// The path was looked up and nothing was there.
    Absent,
}

/// Every path that a build looked at, and what it found: while all of it holds, the build's output is the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Path → what was found there.
    pub paths: BTreeMap<String, Read>,
    /// Digest of the options that shape the output (`sha256:…`).
    pub options: String,
}

/// What a build gives.
#[derive(Clone, Debug, Default)]
pub struct Build {
    /// The objects in output order.
    pub objects: Vec<Object>,
    /// What was read; empty unless [`Options::record_reads`].
    pub reads: Reads,
    /// What the user should know.
    pub warnings: Vec<Warning>,
    /// The files that the marks of the objects' nodes mean.
    pub(crate) files: Files,
    /// Where the fields of the objects got their values; empty unless [`Options::record_history`].
    pub history: History,
}

/// Text is written in pieces of about this size.
const CHUNK: usize = 64 << 10;

impl Build {
    /// Where a node was set last: in the file that holds it, or where a kustomization says what it became.
    pub fn place(&self, mark: Mark) -> Option<Place> {
        Some(Place {
            file: self.files.path(mark)?,
            line: mark.line,
            column: mark.column.into(),
        })
    }

    /// Writes what [`Build::to_yaml`] gives, without holding all of it at once.
    pub fn write_yaml(&self, out: &mut dyn std::io::Write) -> std::io::Result<()> {
        let mut text = String::new();
        for (index, object) in self.objects.iter().enumerate() {
            if index > 0 {
                text.push_str("---\n");
            }
            crate::yaml::push_document(&mut text, &object.node);
            if text.len() >= CHUNK {
                out.write_all(text.as_bytes())?;
                text.clear();
            }
        }
        out.write_all(text.as_bytes())
    }

    /// The objects as `kustomize build` prints them; secret scalars print as `***`.
    pub fn to_yaml(&self) -> String {
        let nodes: Vec<&Node> = self.objects.iter().map(|object| &object.node).collect();
        crate::yaml::write_documents(&nodes)
    }
}

/// Builds the folder at `path`. All independent errors are reported together.
pub fn build(tree: &dyn Tree, path: &str, options: &Options<'_>) -> Result<Build, Errors> {
    let ahead = Ahead::default();
    let mut session = Session::new(tree, options, &ahead);
    match run(path, &mut session) {
        Ok((objects, history)) => {
            if let Some(told) = left_out(&session) {
                session.warn(Mark::default(), told);
            }
            Ok(Build {
                objects,
                history,
                reads: reads(&mut session),
                warnings: session.warnings,
                files: session.files,
            })
        }
        Err(Errors(errors)) => {
            let told = left_out(&session);
            let place = |mut error: Error| {
                error.hint = error.hint.or_else(|| told.clone());
                if error.place.is_none() && error.mark.file != 0 {
                    error.place = Some(Box::new(session.files.place(error.mark)));
                }
                error
            };
            let mut told = Vec::with_capacity(errors.len());
            for error in errors.into_iter().map(place) {
                // A base that two folders name is wrong once.
                if !told.iter().any(|other| is_same(other, &error)) {
                    told.push(error);
                }
            }
            Err(Errors(told))
        }
    }
}

/// The links that were asked for, and that the tree leaves out.
fn left_out(session: &Session<'_>) -> Option<String> {
    let reads = session.reads.iter();
    let absent = reads.filter(|(_, read)| matches!(read, Read::Absent));
    let links = absent.map(|(path, _)| path.as_str());
    let links: Vec<&str> = links
        .filter(|path| session.tree.leaves_out_link(path))
        .collect();
    (!links.is_empty()).then(|| {
        format!(
            "symbolic links are left out of sources, as in Flux: {}",
            links.join(", ")
        )
    })
}

fn is_same(one: &Error, other: &Error) -> bool {
    one.place.is_some() && one.place == other.place && one.message == other.message
}

fn reads(session: &mut Session<'_>) -> Reads {
    if !session.options.record_reads {
        return Reads::default();
    }
    Reads {
        paths: std::mem::take(&mut session.reads),
        options: digest(session.options),
    }
}

/// A digest of all options that shape the output, and of the composer's version.
fn digest(options: &Options<'_>) -> String {
    let Additions {
        patches,
        images,
        components,
        ignore_missing_components,
        target_namespace,
        name_prefix,
        name_suffix,
        common_labels,
        common_annotations,
        build_metadata,
    } = &options.additions;
    let plain = format!(
        "{:?}",
        (
            env!("CARGO_PKG_VERSION"),
            (options.flux, options.order, options.load_restrictor),
            (options.managed_by_label, options.opener.is_some()),
            (components, ignore_missing_components, target_namespace),
            (name_prefix, name_suffix, build_metadata),
            (common_labels, common_annotations),
        )
    );
    let mut hash = Sha256::new();
    hash.update(plain);
    for nodes in [patches, images] {
        let nodes: Vec<&Node> = nodes.iter().collect();
        hash.update(b"\0");
        hash.update(crate::yaml::write_documents_revealed(&nodes).as_bytes());
    }
    let hex: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}

fn run(path: &str, session: &mut Session<'_>) -> Result<(Vec<Object>, History), Errors> {
    let folder = session.root(path)?;
    let loaded = if session.options.flux {
        flux::load(&folder, session)?
    } else {
        kustomization_file::load(&folder, Kind::Any, session)?
    };
    let kustomization = &loaded.kustomization;
    let metadata = BuildMetadata::of(kustomization);
    let place = accumulate::Place {
        kustomization,
        folder: &folder,
        origin: metadata.tracks().then(String::new),
        file_name: loaded.file_name,
    };
    let Accumulated {
        mut resources,
        configuration,
        variables,
    } = accumulate(&place, loaded.mistakes, Accumulated::default(), session)?;
    let configuration = configuration.unwrap_or_else(Configuration::defaults);
    let note = |resources: &mut Resources, step| {
        history::note(resources, Asker::step(step), session.options);
    };
    add_hashes(&mut resources)?;
    note(&mut resources, "name hash");
    let steps = &mut session.steps;
    refs::follow_names(&mut resources, &configuration, steps)?;
    note(&mut resources, "name references");
    variables.resolve(&mut resources, &configuration.var_reference, steps)?;
    resources.list.iter_mut().for_each(alias::settle);
    note(&mut resources, "vars");
    let mut mistakes = Mistakes::default();
    for resource in &resources.list {
        mistakes.of(check_identity(resource));
    }
    mistakes.or(())?;
    resources.check_unique()?;
    resources.drop_those(is_local);
    note(&mut resources, LOCAL);
    order(&mut resources, kustomization, session.options)?;
    finish(&mut resources, metadata, session)?;
    let history = match session.options.record_history {
        true => history::collect(&resources, &session.files),
        false => History::default(),
    };
    let objects = resources.list.into_iter().map(Resource::into_object);
    Ok((objects.collect(), history))
}

/// The annotation of objects that are for tools only.
const LOCAL: &str = "config.kubernetes.io/local-config";

/// Patches and replacements may leave an object without a kind or name.
fn check_identity(resource: &Resource) -> Result<(), Error> {
    let missing = match (resource.kind(), resource.name()) {
        ("", _) => "kind",
        (kind, "") if !kind.ends_with("List") => "metadata.name",
        _ => return Ok(()),
    };
    Err(resource.blame(Error::new(format!("the object has lost its `{missing}`"))))
}

/// True for objects that say that they are for tools only.
fn is_local(resource: &Resource) -> bool {
    resource
        .node
        .find(&["metadata", "annotations", LOCAL])
        .is_some_and(|value| value.exposed() != Some("false"))
}

fn order(
    resources: &mut Resources,
    kustomization: &Kustomization,
    options: &Options<'_>,
) -> Result<(), Error> {
    match &kustomization.sort_options {
        Some(sort_options) => sort::sort_by_options(resources, sort_options),
        None => {
            if options.order == Order::Default && !options.flux {
                sort::sort_by_default(resources);
            }
            Ok(())
        }
    }
}

/// Labels what built the objects when that is asked for, and takes away what was noted on the way.
fn finish(
    resources: &mut Resources,
    metadata: BuildMetadata,
    session: &mut Session<'_>,
) -> Result<(), Errors> {
    if session.options.managed_by_label || metadata.managed_by {
        let value = Text::from("kustomize-(devel)");
        let label = SetPairs::in_metadata(
            "labels",
            [("app.kubernetes.io/managed-by".into(), value)].into(),
        );
        label.transform(resources, session)?;
        history::note(resources, Asker::step("managed-by label"), session.options);
    }
    if session.options.flux {
        flux::set_common_metadata(resources, session)?;
        history::note(
            resources,
            Asker::step("spec.commonMetadata"),
            session.options,
        );
    }
    for resource in &mut resources.list {
        provenance::finish(resource, metadata)?;
    }
    history::note(
        resources,
        Asker::step("tidying of annotations"),
        session.options,
    );
    Ok(())
}
