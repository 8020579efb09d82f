//! `images`: names, tags and digests of container images.

use std::sync::Arc;

use ecow::EcoString;

use super::{Asked, Setting, Transformer};
use crate::budget::Steps;
use crate::decode::{Rules, decode, fields};
use crate::error::{Error, Errors, Mistakes};
use crate::expression::Expression;
use crate::fieldspec::{FieldSpec, split_path, visit_wanted};
use crate::history::Asker;
use crate::kustomization::{Image, Kustomization};
use crate::load::Session;
use crate::resource::Resource;
use crate::resources::Resources;
use crate::scalar::{self, Meaning};
use crate::yaml::{Node, Value};

/// Changes one image wherever it stands.
struct Images {
    image: Image,
    name: Name,
    specs: Specs,
}

/// Field specs and the parts of their paths; those of a kustomization are shared by all its images.
type Specs = Arc<[(FieldSpec, Vec<EcoString>)]>;

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
    let specs = split(setting.configuration.images.iter().cloned());
    let (mut made, mut errors) = (Vec::new(), Vec::new());
    for (index, image) in kustomization.images.iter().enumerate() {
        if setting.session.steps.are_spent() {
            break;
        }
        match Images::new(image.clone(), specs.clone(), &mut setting.session.steps) {
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
    setting: &mut Setting<'_, '_>,
) -> Result<Box<dyn Transformer>, Errors> {
    let configured: Configured = decode(node, Rules::Object)?;
    Ok(Box::new(Images::new(
        configured.image,
        split(configured.field_specs.into_iter()),
        &mut setting.session.steps,
    )?))
}

fn split(specs: impl Iterator<Item = FieldSpec>) -> Specs {
    specs
        .map(|spec| {
            let path = split_path(&spec.path);
            (spec, path)
        })
        .collect()
}

impl Transformer for Images {
    /// Two passes, as in kustomize: the images of anything called `containers`, then those of the field specs.
    /// An image that both find gets its tag suffix twice.
    fn transform(
        &self,
        resources: &mut Resources,
        session: &mut Session<'_>,
    ) -> Result<(), Errors> {
        let is_definition = |resource: &Resource| resource.kind() == "CustomResourceDefinition";
        let steps = &mut session.steps;
        let walked = resources.each(steps, |resource, steps| match is_definition(resource) {
            true => Ok(()),
            false => self.walk(&mut resource.node, steps),
        });
        let mut mistakes = Mistakes::default();
        mistakes.of(walked);
        let visited = resources.each(steps, |resource, _| match is_definition(resource) {
            true => Ok(()),
            false => self.visit_specs(resource),
        });
        mistakes.of(visited);
        mistakes.or(())
    }
}

/// The name of an image is a regular expression in kustomize, whether its author meant it or not.
enum Name {
    /// One of characters that mean themselves, and dots.
    Dotted(EcoString),
    /// Any other, with tag and digest behind it.
    Expression(Expression),
}

impl Name {
    fn new(name: &str) -> Result<Self, Error> {
        let is_plain = |c: u8| c.is_ascii_alphanumeric() || b"-_/:@.".contains(&c);
        if name.bytes().all(is_plain) {
            return Ok(Self::Dotted(name.into()));
        }
        let pattern = format!("^{name}(:[a-zA-Z0-9_.{{}}-]*)?(@sha256:[a-zA-Z0-9_.{{}}-]*)?$");
        Expression::anywhere(&pattern).map(Self::Expression)
    }

    fn is_match(&self, image: &str) -> bool {
        let name = match self {
            Self::Dotted(name) => name,
            Self::Expression(expression) => return expression.is_match(image),
        };
        let mut chars = image.chars();
        let is_named = name.chars().all(|wanted| {
            let found = chars.next();
            found == Some(wanted) || (wanted == '.' && found.is_some_and(|c| c != '\n'))
        });
        is_named && is_tag_and_digest(chars.as_str())
    }
}

/// `:tag`, `@sha256:digest`, both or nothing.
fn is_tag_and_digest(text: &str) -> bool {
    let behind = |text: &'_ str| {
        let is_end = |c: char| !(c.is_ascii_alphanumeric() || "_.{}-".contains(c));
        text.find(is_end).unwrap_or(text.len())
    };
    let text = match text.strip_prefix(':') {
        Some(tag) => &tag[behind(tag)..],
        None => text,
    };
    match text.strip_prefix("@sha256:") {
        Some(digest) => behind(digest) == digest.len(),
        None => text.is_empty(),
    }
}

impl Images {
    fn new(image: Image, specs: Specs, steps: &mut Steps) -> Result<Self, Error> {
        let name = Name::new(&image.name).map_err(|_| {
            Error::new(format!("`{}` cannot be an image's name", &*image.name))
                .at_mark(image.name.mark)
        })?;
        if let Name::Expression(expression) = &name {
            steps.take(expression.to_make)?;
        }
        Ok(Self { image, name, specs })
    }

    fn visit_specs(&self, resource: &mut Resource) -> Result<(), Error> {
        let gvk = resource.gvk();
        for (_, path) in self.specs.iter().filter(|(spec, _)| spec.is_for(&gvk)) {
            let wants = |node: &Node| self.wants(node);
            let set = &mut |node: &mut Node| self.set(node);
            visit_wanted(&mut resource.node, path, &wants, set)?;
        }
        Ok(())
    }

    /// Sets the images of all containers below. What holds none that is wanted stays shared.
    fn walk(&self, node: &mut Node, steps: &mut Steps) -> Result<(), Error> {
        let mut found = Vec::new();
        steps.take_small(count_nodes(node))?;
        self.find(node, &mut Vec::new(), &mut found)?;
        for way in found {
            let image = way
                .iter()
                .try_fold(&mut *node, |node, index| child(node, *index));
            image.map_or(Ok(()), |image| self.set(image))?;
        }
        Ok(())
    }

    /// The ways to the images that are wanted.
    fn find(
        &self,
        node: &Node,
        here: &mut Vec<usize>,
        found: &mut Vec<Vec<usize>>,
    ) -> Result<(), Error> {
        match &node.value {
            Value::Sequence(items) => {
                for (index, item) in items.iter().enumerate() {
                    here.push(index);
                    self.find(item, here, found)?;
                    here.pop();
                }
            }
            Value::Mapping(mapping) => {
                for (index, (key, value)) in mapping.iter().enumerate() {
                    here.push(index);
                    self.find(value, here, found)?;
                    if matches!(key.text.as_str(), "containers" | "initContainers") {
                        self.find_in_containers(value, here, found)?;
                    }
                    here.pop();
                }
            }
            Value::Scalar(_) | Value::Secret(_) => {}
        }
        Ok(())
    }

    fn find_in_containers(
        &self,
        node: &Node,
        here: &[usize],
        found: &mut Vec<Vec<usize>>,
    ) -> Result<(), Error> {
        for (index, container) in node.as_sequence().into_iter().flatten().enumerate() {
            if container.is_null() {
                continue;
            }
            let Some(mapping) = container.as_mapping() else {
                return Err(Error::new("a container is no mapping").at_mark(container.mark));
            };
            let image = mapping.iter().position(|(key, _)| key.text == "image");
            if let (Some(image), Some(node)) = (image, mapping.get("image"))
                && self.wants(node)
            {
                found.push([here, &[index, image]].concat());
            }
        }
        Ok(())
    }

    /// True for an image that is to be changed, and for what is none, which is an error.
    fn wants(&self, node: &Node) -> bool {
        node.exposed().is_none_or(|image| self.name.is_match(image))
    }

    fn set(&self, node: &mut Node) -> Result<(), Error> {
        let Some(old) = node.exposed() else {
            return Err(Error::new("an image is no text").at_mark(node.mark));
        };
        if !self.name.is_match(old) {
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

/// Here the size of objects counts, too: a walk passes all that is in them.
fn count_nodes(node: &Node) -> usize {
    let below: usize = match &node.value {
        Value::Sequence(items) => items.iter().map(count_nodes).sum(),
        Value::Mapping(mapping) => mapping.iter().map(|(_, value)| count_nodes(value)).sum(),
        Value::Scalar(_) | Value::Secret(_) => 0,
    };
    1 + below
}

/// The item or value at a position, to change.
fn child(node: &mut Node, index: usize) -> Option<&mut Node> {
    match node.as_sequence() {
        Some(_) => node.as_sequence_mut()?.get_mut(index),
        None => node
            .as_mapping_mut()?
            .iter_mut()
            .nth(index)
            .map(|(_, value)| value),
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
    use super::{Name, split_image};

    #[test]
    fn plain_names_match_as_their_expressions_do() {
        let names = ["nginx", "a.b/c", "n.", "x:1", "", "ab"];
        let images = [
            "nginx",
            "nginx:1",
            "nginx:",
            "nginx@sha256:ab",
            "nginx:1@sha256:",
            "nginx@x",
            "nginx:1:2",
            "a.b/c",
            "axb/c:v",
            "a\nb/c",
            "né",
            "n",
            "x:1",
            "x:1:2",
            "",
            ":t",
            "@sha256:",
            "ab ",
            "abc",
        ];
        for name in names {
            let expression = Name::new(&format!("(?:{name})")).expect("an expression");
            let plain = Name::new(name).expect("a name");
            for image in images {
                assert_eq!(
                    plain.is_match(image),
                    expression.is_match(image),
                    "{name} {image}"
                );
            }
        }
    }

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
