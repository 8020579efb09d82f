//! Finding and reading the kustomization file of a folder.

use crate::decode::{Rules, decode_rest};
use crate::error::{Error, Errors, Mistakes};
use crate::generate::NO_CHARTS;
use crate::kustomization::{FILE_NAMES, Kustomization};
use crate::load::{Folder, Session};
use crate::openapi;
use crate::path;
use crate::tree::EntryKind;
use crate::yaml::{Mark, Node};

/// What a folder is built as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The folder of the build: either.
    Any,
    /// An entry of `resources`.
    Kustomization,
    /// An entry of `components`.
    Component,
}

/// A kustomization file that was read.
pub(crate) struct Loaded {
    /// What it says.
    pub kustomization: Kustomization,
    /// Its name in the folder.
    pub file_name: &'static str,
    /// It has entries under `resources` itself, not only under old fields.
    pub lists_resources: bool,
    /// What is wrong with it: the rest is read, so that what it names is looked at all the same.
    pub mistakes: Mistakes,
}

const API_VERSION: &str = "kustomize.config.k8s.io/v1beta1";
const COMPONENT_API_VERSION: &str = "kustomize.config.k8s.io/v1alpha1";

/// Reads the kustomization file of a folder.
pub(crate) fn load(
    folder: &Folder,
    kind: Kind,
    session: &mut Session<'_>,
) -> Result<Loaded, Errors> {
    let Some((file_name, real)) = find(folder, session)? else {
        return Err(missing(folder).into());
    };
    // Flux reads the file of the folder that it builds into typed data and writes it anew: there `newTag: 1` is text.
    let rules = match kind {
        Kind::Any if session.options.flux => Rules::Configuration,
        _ => Rules::File,
    };
    let mut mistakes = Mistakes::default();
    let (kustomization, lists_resources) = read(&real, rules, session, &mut mistakes)?;
    mistakes.of(openapi::decide(&kustomization, folder, session));
    check_kind(&kustomization, kind, folder)?;
    Ok(Loaded {
        kustomization,
        file_name,
        lists_resources,
        mistakes,
    })
}

/// The name and real path of a folder's kustomization file.
pub(crate) fn find(
    folder: &Folder,
    session: &mut Session<'_>,
) -> Result<Option<(&'static str, String)>, Error> {
    let mut found = None;
    for name in FILE_NAMES {
        if !matches!(session.find(folder, name)?, Some((_, EntryKind::File))) {
            continue;
        }
        let real = session.file(folder, name)?;
        if let Some((other, _)) = found.replace((name, real)) {
            return Err(Error::new(format!(
                "{} has both {other} and {name}",
                path::shown(&folder.path)
            )));
        }
    }
    Ok(found)
}

fn missing(folder: &Folder) -> Error {
    let error = Error::new(format!(
        "{} has no kustomization.yaml",
        path::shown(&folder.path)
    ));
    if folder.parents.is_empty() {
        error
    } else {
        error
            .hint("a folder under resources or components needs one; a file is named with its path")
    }
}

/// The file as typed data, and whether it has `resources` before old fields are added to them.
fn read(
    real: &str,
    rules: Rules,
    session: &mut Session<'_>,
    mistakes: &mut Mistakes,
) -> Result<(Kustomization, bool), Errors> {
    let bytes = session.read_real(real)?;
    let documents = session.parse_lenient(real, &bytes)?;
    let empty = || {
        Error::new("the kustomization file is empty").at_mark(Mark {
            file: session.files.known(real),
            ..Mark::default()
        })
    };
    let Some(node) = documents.first() else {
        return Err(empty().into());
    };
    let mut kustomization: Kustomization = decode_rest(node, rules, mistakes);
    if says_nothing(node) && mistakes.is_empty() {
        return Err(empty().into());
    }
    mistakes.of(check(&kustomization));
    warn_of_old_fields(node, session);
    let lists_resources = !kustomization.resources.is_empty();
    modernize(&mut kustomization);
    Ok((kustomization, lists_resources))
}

/// True when nothing but `apiVersion` and `kind` is said. An empty list under a field that is not old says something.
fn says_nothing(node: &Node) -> bool {
    let says = |name: &str, node: &Node| match name.to_ascii_lowercase().as_str() {
        "apiversion" | "kind" => false,
        "bases" | "imagetags" | "helmchartinflationgenerator" => {
            node.as_sequence().is_some_and(|items| !items.is_empty())
        }
        _ => !node.is_null() && node.exposed() != Some(""),
    };
    node.as_mapping()
        .is_none_or(|mapping| !mapping.iter().any(|(key, value)| says(&key.text, value)))
}

fn check(kustomization: &Kustomization) -> Result<(), Errors> {
    let mut errors = Vec::new();
    let wanted = match &*kustomization.kind {
        "" | "Kustomization" => API_VERSION,
        "Component" => COMPONENT_API_VERSION,
        other => {
            let error = Error::new(format!(
                "the kind of a kustomization file cannot be `{other}`"
            ));
            errors.push(
                error
                    .at_mark(kustomization.kind.mark)
                    .hint("it is Kustomization or Component"),
            );
            API_VERSION
        }
    };
    let api_version = &kustomization.api_version;
    if !api_version.is_empty() && **api_version != *wanted {
        let error = Error::new(format!(
            "the apiVersion of this file cannot be `{}`",
            &**api_version
        ));
        errors.push(
            error
                .at_mark(api_version.mark)
                .hint(format!("it is {wanted}")),
        );
    }
    let charts = [
        &kustomization.helm_charts,
        &kustomization.helm_chart_inflation_generator,
    ];
    for charts in charts.into_iter().flatten() {
        if charts
            .as_sequence()
            .is_some_and(|charts| !charts.is_empty())
        {
            errors.push(
                Error::new(NO_CHARTS)
                    .at_mark(charts.mark)
                    .hint("a HelmRelease can stand in the chart's place"),
            );
        }
    }
    for entry in &kustomization.config_map_generator {
        if !entry.kind_of_secret.is_empty() {
            errors.push(
                Error::new("a configMapGenerator has no field `type`")
                    .at_mark(entry.kind_of_secret.mark),
            );
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Errors(errors))
    }
}

/// Old fields and what takes their place.
const OLD: &[(&str, &str)] = &[
    ("bases", "resources"),
    ("commonLabels", "labels"),
    ("imageTags", "images"),
    ("patchesJson6902", "patches"),
    ("patchesStrategicMerge", "patches"),
    ("vars", "replacements"),
];

fn warn_of_old_fields(node: &Node, session: &mut Session<'_>) {
    for (old, new) in OLD {
        if let Some(key) = node.as_mapping().and_then(|mapping| mapping.key(old)) {
            session.warn(key.mark, format!("`{old}` is old; `{new}` takes its place"));
        }
    }
}

fn modernize(kustomization: &mut Kustomization) {
    kustomization.resources.append(&mut kustomization.bases);
    kustomization.images.append(&mut kustomization.image_tags);
}

fn check_kind(kustomization: &Kustomization, kind: Kind, folder: &Folder) -> Result<(), Error> {
    let is_component = &*kustomization.kind == "Component";
    let shown = path::shown(&folder.path);
    match kind {
        Kind::Component if !is_component => Err(Error::new(format!("{shown} is no component"))
            .hint("it says `kind: Component`, or it is listed under resources")),
        Kind::Kustomization if is_component => {
            Err(Error::new(format!("{shown} is a component")).hint("it is listed under components"))
        }
        _ => Ok(()),
    }
}
