//! `images`: names, tags and digests of container images.

use regex::Regex;

use super::{Asked, Setting, Transformer, specs_of};
use crate::decode::{Rules, decode, fields};
use crate::error::{Error, Errors};
use crate::fieldspec::{FieldSpec, Make};
use crate::history::Asker;
use crate::kustomization::{Image, Kustomization};
use crate::load::Session;
use crate::resources::Resources;
use crate::scalar::{self, Meaning};
use crate::yaml::Node;

/// Changes one image wherever it stands.
struct Images {
    image: Image,
    matches: Regex,
    specs: Vec<FieldSpec>,
}

/// An `ImageTagTransformer` object.
#[derive(Clone, Debug, Default)]
struct Configured {
    image: Image,
    field_specs: Vec<FieldSpec>,
}

fields!(Configured unmarked { "imageTag" => image, "fieldSpecs" => field_specs });

pub(super) fn from_fields(
    kustomization: &Kustomization,
    setting: &mut Setting<'_, '_>,
) -> Result<Vec<Asked>, Errors> {
    let specs = &setting.configuration.images;
    let (mut made, mut errors) = (Vec::new(), Vec::new());
    for (index, image) in kustomization.images.iter().enumerate() {
        match Images::new(image.clone(), specs.clone()) {
            Ok(images) => {
                made.push(Asked::new(
                    Asker::entry("images", index, image.mark),
                    images,
                ));
            }
            Err(error) => errors.push(error.during(format!("images[{index}]"))),
        }
    }
    if errors.is_empty() {
        Ok(made)
    } else {
        Err(Errors(errors))
    }
}

pub(super) fn from_object(
    node: &Node,
    _: &mut Setting<'_, '_>,
) -> Result<Box<dyn Transformer>, Errors> {
    let configured: Configured = decode(node, Rules::Object)?;
    Ok(Box::new(Images::new(
        configured.image,
        configured.field_specs,
    )?))
}

impl Transformer for Images {
    /// Two passes, as in kustomize: the images of anything called `containers`, then those of the field specs.
    /// An image that both find gets its tag suffix twice.
    fn transform(&self, resources: &mut Resources, _: &mut Session<'_>) -> Result<(), Errors> {
        let others = |kind: &str| kind != "CustomResourceDefinition";
        for resource in resources
            .list
            .iter_mut()
            .filter(|resource| others(resource.kind()))
        {
            self.walk(&mut resource.node)
                .map_err(|error| resource.blame(error))?;
        }
        for resource in resources
            .list
            .iter_mut()
            .filter(|resource| others(resource.kind()))
        {
            for spec in specs_of(&self.specs, &resource.gvk()) {
                let set = &mut |node: &mut Node| self.set(node);
                spec.visit(&mut resource.node, Make::Nothing, set)
                    .map_err(|error| resource.blame(error))?;
            }
        }
        Ok(())
    }
}

impl Images {
    /// The name is a regular expression in kustomize, whether its author meant it or not.
    fn new(image: Image, specs: Vec<FieldSpec>) -> Result<Self, Error> {
        let pattern = format!(
            "^{}(:[a-zA-Z0-9_.{{}}-]*)?(@sha256:[a-zA-Z0-9_.{{}}-]*)?$",
            &*image.name
        );
        let matches = regex::RegexBuilder::new(&pattern)
            .size_limit(1 << 20)
            .build()
            .map_err(|_| {
                Error::new(format!("`{}` cannot be an image's name", &*image.name))
                    .at_mark(image.name.mark)
            })?;
        Ok(Self {
            image,
            matches,
            specs,
        })
    }

    fn walk(&self, node: &mut Node) -> Result<(), Error> {
        if let Some(items) = node.as_sequence_mut() {
            return items.iter_mut().try_for_each(|item| self.walk(item));
        }
        let Some(mapping) = node.as_mapping_mut() else {
            return Ok(());
        };
        for (key, value) in mapping.iter_mut() {
            self.walk(value)?;
            if matches!(key.text.as_str(), "containers" | "initContainers") {
                self.set_in_containers(value)?;
            }
        }
        Ok(())
    }

    fn set_in_containers(&self, node: &mut Node) -> Result<(), Error> {
        for container in node.as_sequence_mut().into_iter().flatten() {
            if container.is_null() {
                continue;
            }
            let mark = container.mark;
            let Some(mapping) = container.as_mapping_mut() else {
                return Err(Error::new("a container is no mapping").at_mark(mark));
            };
            if let Some(image) = mapping.get_mut("image") {
                self.set(image)?;
            }
        }
        Ok(())
    }

    fn set(&self, node: &mut Node) -> Result<(), Error> {
        let Some(old) = node.exposed() else {
            return Err(Error::new("an image is no text").at_mark(node.mark));
        };
        if !self.matches.is_match(old) {
            return Ok(());
        }
        let new = self.change(old);
        scalar::set(node, new, Meaning::AsWritten, self.image.mark)
    }

    /// A new tag or digest takes the place of both.
    fn change(&self, old: &str) -> String {
        let (name, tag, digest) = split_image(old);
        let Image {
            new_name,
            new_tag,
            digest: new_digest,
            tag_suffix,
            ..
        } = &self.image;
        let name = if new_name.is_empty() { name } else { new_name };
        let (tag, digest) = match (new_tag.is_empty(), new_digest.is_empty()) {
            (false, _) => (new_tag.to_string(), &**new_digest),
            (true, false) => (String::new(), &**new_digest),
            (true, true) if !tag_suffix.is_empty() => (format!("{tag}{}", &**tag_suffix), ""),
            (true, true) => (tag.to_owned(), digest),
        };
        let mut image = name.to_owned();
        if !tag.is_empty() {
            image.push(':');
            image.push_str(&tag);
        }
        if !digest.is_empty() {
            image.push('@');
            image.push_str(digest);
        }
        image
    }
}

/// Name, tag and digest. A colon before the first slash belongs to the registry's port.
fn split_image(image: &str) -> (&str, &str, &str) {
    let start = image.find('/').unwrap_or(0);
    let find = |mark: char| image[start..].find(mark).map(|at| at + start);
    match (find(':'), find('@')) {
        (None, None) => (image, "", ""),
        (Some(colon), None) => (&image[..colon], &image[colon + 1..], ""),
        (Some(colon), Some(at)) if colon < at => {
            (&image[..colon], &image[colon + 1..at], &image[at + 1..])
        }
        (_, Some(at)) => (&image[..at], "", &image[at + 1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::split_image;

    #[test]
    fn images_split_into_name_tag_and_digest() {
        for (image, want) in [
            ("nginx", ("nginx", "", "")),
            ("nginx:1.2", ("nginx", "1.2", "")),
            ("host:5000/a/b", ("host:5000/a/b", "", "")),
            ("host:5000/a:t@sha256:f", ("host:5000/a", "t", "sha256:f")),
            ("a@sha256:f", ("a", "", "sha256:f")),
        ] {
            assert_eq!(split_image(image), want);
        }
    }
}
