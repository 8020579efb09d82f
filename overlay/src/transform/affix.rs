//! `namePrefix` and `nameSuffix`: text before and behind names.

use super::{Asked, Setting, Transformer, specs_of};
use crate::decode::{Rules, Text, decode, fields};
use crate::error::{Error, Errors};
use crate::fieldspec::{FieldSpec, Make};
use crate::history::Asker;
use crate::kustomization::Kustomization;
use crate::load::Session;
use crate::resource::{Gvk, Resource};
use crate::resources::Resources;
use crate::scalar::{self, Meaning};
use crate::yaml::{Mark, Node};

/// Which end of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Front,
    Back,
}

/// Adds text to names.
struct Affix {
    end: End,
    text: Text,
    specs: Vec<FieldSpec>,
}

/// A `PrefixTransformer` or `SuffixTransformer` object.
#[derive(Clone, Debug, Default)]
struct Configured {
    mark: Mark,
    prefix: Text,
    suffix: Text,
    field_specs: Option<Vec<FieldSpec>>,
}

fields!(Configured {
    "prefix" => prefix,
    "suffix" => suffix,
    "fieldSpecs" => field_specs,
});

/// Kinds whose names mean something to the API server: group (empty for any) and kind.
const NEVER_RENAMED: &[(&str, &str)] = &[
    ("", "CustomResourceDefinition"),
    ("apiregistration.k8s.io", "APIService"),
    ("", "Namespace"),
];

pub(super) fn prefix_from_fields(
    kustomization: &Kustomization,
    setting: &mut Setting<'_, '_>,
) -> Result<Vec<Asked>, Errors> {
    let specs = &setting.configuration.name_prefix;
    Ok(from_fields(End::Front, &kustomization.name_prefix, specs))
}

pub(super) fn suffix_from_fields(
    kustomization: &Kustomization,
    setting: &mut Setting<'_, '_>,
) -> Result<Vec<Asked>, Errors> {
    let specs = &setting.configuration.name_suffix;
    Ok(from_fields(End::Back, &kustomization.name_suffix, specs))
}

fn from_fields(end: End, text: &Text, specs: &[FieldSpec]) -> Vec<Asked> {
    if text.is_empty() {
        return Vec::new();
    }
    let field = match end {
        End::Front => "namePrefix",
        End::Back => "nameSuffix",
    };
    let affix = Affix {
        end,
        text: text.clone(),
        specs: specs.to_vec(),
    };
    vec![Asked::new(Asker::field(field, text.mark), affix)]
}

pub(super) fn prefix_from_object(
    node: &Node,
    _: &mut Setting<'_, '_>,
) -> Result<Box<dyn Transformer>, Errors> {
    Ok(Box::new(from_object(node, End::Front)?))
}

pub(super) fn suffix_from_object(
    node: &Node,
    _: &mut Setting<'_, '_>,
) -> Result<Box<dyn Transformer>, Errors> {
    Ok(Box::new(from_object(node, End::Back)?))
}

/// Both ends by one object.
pub(super) fn both_from_object(
    node: &Node,
    _: &mut Setting<'_, '_>,
) -> Result<Box<dyn Transformer>, Errors> {
    Ok(Box::new(Both(
        from_object(node, End::Front)?,
        from_object(node, End::Back)?,
    )))
}

fn from_object(node: &Node, end: End) -> Result<Affix, Errors> {
    let configured: Configured = decode(node, Rules::Object)?;
    let Some(specs) = configured.field_specs else {
        return Err(Error::new("`fieldSpecs` is missing")
            .at_mark(configured.mark)
            .into());
    };
    let text = match end {
        End::Front => configured.prefix,
        End::Back => configured.suffix,
    };
    Ok(Affix { end, text, specs })
}

/// `PrefixSuffixTransformer`.
struct Both(Affix, Affix);

impl Transformer for Both {
    fn transform(
        &self,
        resources: &mut Resources,
        session: &mut Session<'_>,
    ) -> Result<(), Errors> {
        self.0.transform(resources, session)?;
        self.1.transform(resources, session)
    }
}

impl Transformer for Affix {
    fn transform(
        &self,
        resources: &mut Resources,
        session: &mut Session<'_>,
    ) -> Result<(), Errors> {
        resources.each(&mut session.steps, |resource, _| self.apply(resource))
    }
}

impl Affix {
    fn apply(&self, resource: &mut Resource) -> Result<(), Error> {
        let original = resource.original_id().gvk;
        if is_never_renamed(&original) {
            return Ok(());
        }
        for spec in specs_of(&self.specs, &original) {
            if spec.path == "metadata/name" {
                self.note(resource);
            }
            if !spec.is_for(&resource.gvk()) {
                continue;
            }
            spec.visit(&mut resource.node, Make::Scalar, &mut |node| self.set(node))?;
        }
        Ok(())
    }

    /// Remembers what is added and the id before it, so that references find the object.
    fn note(&self, resource: &mut Resource) {
        if self.text.is_empty() {
            return;
        }
        match self.end {
            End::Front => resource.prefixes.push(self.text.text.clone()),
            End::Back => resource.suffixes.push(self.text.text.clone()),
        }
        resource.remember_id();
        resource.untyped_name = true;
    }

    fn set(&self, node: &mut Node) -> Result<(), Error> {
        let old = node.exposed().unwrap_or_default();
        let new = match self.end {
            End::Front => format!("{}{old}", &*self.text),
            End::Back => format!("{old}{}", &*self.text),
        };
        let mark = node.mark;
        scalar::set(node, new, Meaning::AsWritten, mark)
    }
}

fn is_never_renamed(gvk: &Gvk) -> bool {
    NEVER_RENAMED
        .iter()
        .any(|(group, kind)| gvk.kind == *kind && (group.is_empty() || gvk.group == *group))
}
