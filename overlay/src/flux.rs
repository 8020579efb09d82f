//! Flux's mode: a bare folder is given a kustomization file, and a Flux Kustomization's spec is merged into it.

use crate::build::Additions;
use crate::decode::{Rules, Text, decode};
use crate::error::{Error, Errors, Mistakes};
use crate::kustomization::{Image, Kustomization, Patch};
use crate::kustomization_file::{self, Kind, Loaded};
use crate::load::{Folder, Session};
use crate::path;
use crate::resources::Resources;
use crate::transform::Transformer;
use crate::transform::pairs::SetPairs;
use crate::tree::EntryKind;
use crate::yaml::Node;

/// The kustomization of the folder that is built: its file, or one made of all that lies below it, with the
/// additions merged in.
pub(crate) fn load(folder: &Folder, session: &mut Session<'_>) -> Result<Loaded, Errors> {
    let mut loaded = match kustomization_file::find(folder, session)? {
        Some(_) => {
            let mut loaded = kustomization_file::load(folder, Kind::Any, session)?;
            // As Flux does, so that a folder of generators alone is printed as it prints it.
            if !loaded.lists_resources {
                loaded.kustomization.build_metadata = vec!["originAnnotations".into()];
            }
            loaded
        }
        None => generated(folder, session)?,
    };
    let options = session.options;
    let added = add(
        &options.additions,
        &mut loaded.kustomization,
        folder,
        session,
    );
    loaded.mistakes.of(added);
    Ok(loaded)
}

/// A kustomization whose resources are all manifests below the folder.
fn generated(folder: &Folder, session: &mut Session<'_>) -> Result<Loaded, Errors> {
    let mut resources = Vec::new();
    collect(&folder.path, "", &mut resources, session)?;
    Ok(Loaded {
        kustomization: Kustomization {
            resources,
            ..Kustomization::default()
        },
        file_name: "kustomization.yaml",
        lists_resources: true,
        mistakes: Mistakes::default(),
    })
}

/// Files ending in `.yaml` or `.yml`, and folders with a kustomization file, which are not entered. Links are passed
/// over, as an artifact has none.
fn collect(
    real: &str,
    below: &str,
    resources: &mut Vec<Text>,
    session: &mut Session<'_>,
) -> Result<(), Error> {
    for entry in session.list_real(real)? {
        let real = path::join(real, &entry.name);
        let name = path::join(below, &entry.name);
        match entry.kind {
            EntryKind::Folder => {
                let folder = Folder {
                    path: real.clone(),
                    parents: Vec::new(),
                };
                if kustomization_file::find(&folder, session)?.is_some() {
                    resources.push(name.as_str().into());
                } else {
                    collect(&real, &name, resources, session)?;
                }
            }
            EntryKind::File if name.ends_with(".yaml") || name.ends_with(".yml") => {
                resources.push(name.as_str().into());
            }
            EntryKind::File | EntryKind::Link | EntryKind::Submodule => {}
        }
    }
    Ok(())
}

fn add(
    additions: &Additions,
    kustomization: &mut Kustomization,
    folder: &Folder,
    session: &mut Session<'_>,
) -> Result<(), Errors> {
    for (value, field) in [
        (&additions.target_namespace, &mut kustomization.namespace),
        (&additions.name_prefix, &mut kustomization.name_prefix),
        (&additions.name_suffix, &mut kustomization.name_suffix),
    ] {
        if let Some(value) = value {
            *field = value.as_str().into();
        }
    }
    for patch in decode_all::<Patch>(&additions.patches, "spec.patches")? {
        kustomization.patches.push(patch);
    }
    for image in decode_all::<Image>(&additions.images, "spec.images")? {
        add_image(image, &mut kustomization.images);
    }
    for component in &additions.components {
        if add_component(component, additions, folder, session)? {
            kustomization.components.push(component.as_str().into());
        }
    }
    if let Some(options) = additions
        .build_metadata
        .as_ref()
        .filter(|options| !options.is_empty())
    {
        kustomization.build_metadata = options
            .iter()
            .map(|option| option.as_str().into())
            .collect();
    }
    Ok(())
}

fn decode_all<T: crate::decode::Decode>(nodes: &[Node], field: &str) -> Result<Vec<T>, Errors> {
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    for (index, node) in nodes.iter().enumerate() {
        match decode(node, Rules::Object) {
            Ok(value) => values.push(value),
            Err(Errors(more)) => errors.extend(
                more.into_iter()
                    .map(|error| error.during(format!("{field}[{index}]"))),
            ),
        }
    }
    if errors.is_empty() {
        Ok(values)
    } else {
        Err(Errors(errors))
    }
}

/// Overrides the file's entry for the image: the name alone, tag and digest together.
fn add_image(image: Image, images: &mut Vec<Image>) {
    let Some(mine) = images.iter_mut().find(|mine| *mine.name == *image.name) else {
        images.push(image);
        return;
    };
    if !image.new_name.is_empty() {
        mine.new_name = image.new_name;
    }
    if !image.new_tag.is_empty() || !image.digest.is_empty() {
        mine.new_tag = image.new_tag;
        mine.digest = image.digest;
    }
}

/// False when the component is missing and may be.
fn add_component(
    component: &str,
    additions: &Additions,
    folder: &Folder,
    session: &mut Session<'_>,
) -> Result<bool, Error> {
    if path::is_remote(component) || component.starts_with('/') {
        return Err(Error::new(format!(
            "component path '{component}' must be local and relative"
        ))
        .during("spec.components"));
    }
    Ok(!additions.ignore_missing_components || session.find(folder, component)?.is_some())
}

/// Labels and annotations of the spec, on every object, over those that it has.
pub(crate) fn set_common_metadata(
    resources: &mut Resources,
    session: &mut Session<'_>,
) -> Result<(), Errors> {
    let options = session.options;
    let Additions {
        common_labels,
        common_annotations,
        ..
    } = &options.additions;
    for (field, pairs) in [
        ("labels", common_labels),
        ("annotations", common_annotations),
    ] {
        let pairs = pairs
            .iter()
            .map(|(key, value)| (key.as_str().into(), value.as_str().into()));
        SetPairs::in_metadata(field, pairs.collect()).transform(resources, session)?;
    }
    Ok(())
}
