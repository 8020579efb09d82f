//! `labels`, `commonLabels` and `commonAnnotations`: keys and values set in mappings.

use super::{Asked, Setting, Transformer, specs_of};
use crate::alias::NewKeys;
use crate::budget::Steps;
use crate::configuration::merge_specs;
use crate::decode::{Rules, decode, fields};
use crate::error::{Error, Errors};
use crate::fieldspec::{FieldSpec, Make, split_path, visit};
use crate::history::Asker;
use crate::kustomization::{Kustomization, Label, Pairs};
use crate::load::Session;
use crate::resource::Resource;
use crate::resources::Resources;
use crate::scalar;
use crate::yaml::{Mapping, Mark, Node};

/// Sets keys in the mappings that the specs lead to.
pub(crate) struct SetPairs {
    /// The keys and values.
    pub pairs: Pairs,
    /// The mappings.
    pub specs: Vec<FieldSpec>,
}

/// A `LabelTransformer` or `AnnotationsTransformer` object.
#[derive(Clone, Debug, Default)]
struct Configured {
    labels: Pairs,
    annotations: Pairs,
    field_specs: Vec<FieldSpec>,
}

fields!(Configured unmarked {
    "labels" => labels,
    "annotations" => annotations,
    "fieldSpecs" => field_specs,
});

/// One transformer for each entry of `labels`, then one for `commonLabels`.
pub(super) fn labels_from_fields(
    kustomization: &Kustomization,
    setting: &mut Setting<'_, '_>,
) -> Result<Vec<Asked>, Errors> {
    let mut transformers = Vec::new();
    for (index, label) in kustomization.labels.iter().enumerate() {
        let labels = SetPairs {
            pairs: label.pairs.clone(),
            specs: specs_for_label(label, setting)?,
        };
        let asker = Asker::entry("labels", index, first_mark(&label.pairs));
        transformers.push(Asked::new(asker, labels));
    }
    if !(kustomization.labels.is_empty() && kustomization.common_labels.is_empty()) {
        let labels = SetPairs {
            pairs: kustomization.common_labels.clone(),
            specs: setting.configuration.common_labels.clone(),
        };
        let asker = Asker::field("commonLabels", first_mark(&labels.pairs));
        transformers.push(Asked::new(asker, labels));
    }
    Ok(transformers)
}

/// Where the first of the pairs was written.
fn first_mark(pairs: &Pairs) -> Mark {
    let marks = pairs.values().map(|value| value.mark);
    marks.min_by_key(|mark| mark.line).unwrap_or_default()
}

fn specs_for_label(label: &Label, setting: &Setting<'_, '_>) -> Result<Vec<FieldSpec>, Errors> {
    let configuration = setting.configuration;
    let mut specs = label.fields.clone();
    merge_specs(&mut specs, &configuration.labels)?;
    if label.include_selectors {
        merge_specs(&mut specs, &configuration.common_labels)?;
        return Ok(specs);
    }
    if label.include_templates {
        merge_specs(&mut specs, &configuration.template_labels)?;
    }
    let metadata = FieldSpec {
        path: "metadata/labels".into(),
        create: true,
        ..FieldSpec::default()
    };
    merge_specs(&mut specs, &[metadata])?;
    Ok(specs)
}

pub(super) fn annotations_from_fields(
    kustomization: &Kustomization,
    setting: &mut Setting<'_, '_>,
) -> Result<Vec<Asked>, Errors> {
    if kustomization.common_annotations.is_empty() {
        return Ok(Vec::new());
    }
    let annotations = SetPairs {
        pairs: kustomization.common_annotations.clone(),
        specs: setting.configuration.common_annotations.clone(),
    };
    let asker = Asker::field("commonAnnotations", first_mark(&annotations.pairs));
    Ok(vec![Asked::new(asker, annotations)])
}

pub(super) fn labels_from_object(
    node: &Node,
    _: &mut Setting<'_, '_>,
) -> Result<Box<dyn Transformer>, Errors> {
    let configured: Configured = decode(node, Rules::Object)?;
    Ok(Box::new(SetPairs {
        pairs: configured.labels,
        specs: configured.field_specs,
    }))
}

pub(super) fn annotations_from_object(
    node: &Node,
    _: &mut Setting<'_, '_>,
) -> Result<Box<dyn Transformer>, Errors> {
    let configured: Configured = decode(node, Rules::Object)?;
    Ok(Box::new(SetPairs {
        pairs: configured.annotations,
        specs: configured.field_specs,
    }))
}

impl SetPairs {
    /// Sets pairs in a field of every object's metadata.
    pub(crate) fn in_metadata(field: &str, pairs: Pairs) -> Self {
        let spec = FieldSpec {
            path: ecow::eco_format!("metadata/{field}"),
            create: true,
            ..FieldSpec::default()
        };
        Self {
            pairs,
            specs: vec![spec],
        }
    }
}

impl Transformer for SetPairs {
    fn transform(
        &self,
        resources: &mut Resources,
        session: &mut Session<'_>,
    ) -> Result<(), Errors> {
        if self.pairs.is_empty() {
            return Ok(());
        }
        let pairs: Vec<(&str, Node)> = self
            .pairs
            .iter()
            .map(|(key, text)| (key.as_str(), text.node()))
            .collect();
        resources.each(&mut session.steps, |resource, steps| {
            self.apply(&pairs, resource, steps)
        })
    }
}

impl SetPairs {
    fn apply(
        &self,
        pairs: &[(&str, Node)],
        resource: &mut Resource,
        steps: &mut Steps,
    ) -> Result<(), Error> {
        let mut new_keys = NewKeys::default();
        for spec in specs_of(&self.specs, &resource.gvk()) {
            let make = if spec.create {
                Make::Mapping
            } else {
                Make::Nothing
            };
            let path = split_path(&spec.path);
            let mut given = Vec::new();
            visit(&mut resource.node, &path, make, &mut |node| {
                let keys = pairs.len() + node.as_mapping().map_or(0, Mapping::len);
                steps.take_small(pairs.len() * keys)?;
                let mut new = Vec::new();
                for (key, value) in pairs {
                    if scalar::set_key(node, key, value)? {
                        new.push((*key).into());
                    }
                }
                given.push(new);
                Ok(())
            })?;
            new_keys.note(&resource.node, &path, given);
        }
        new_keys.share(resource);
        Ok(())
    }
}
