//! The field specs that transformers work by: kustomize's defaults, and what `configurations` and `crds` add.

mod defaults;

use std::sync::{Arc, LazyLock};

use ecow::EcoString;

use crate::decode::fields;
use crate::error::Error;
use crate::fieldspec::FieldSpec;
use crate::resource::Gvk;
use crate::transform::sort::kind_key;

/// Field specs by transformer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Configuration {
    /// What `namePrefix` changes.
    pub name_prefix: Vec<FieldSpec>,
    /// What `nameSuffix` changes.
    pub name_suffix: Vec<FieldSpec>,
    /// What `namespace` changes.
    pub namespace: Vec<FieldSpec>,
    /// What `commonLabels`, and `labels` with selectors, change.
    pub common_labels: Vec<FieldSpec>,
    /// What every entry of `labels` changes.
    pub labels: Vec<FieldSpec>,
    /// What `labels` with templates change.
    pub template_labels: Vec<FieldSpec>,
    /// What `commonAnnotations` change.
    pub common_annotations: Vec<FieldSpec>,
    /// Which fields name objects.
    pub name_reference: Vec<NameReference>,
    /// Where `$(VAR)` is looked for.
    pub var_reference: Vec<FieldSpec>,
    /// Where images stand.
    pub images: Vec<FieldSpec>,
    /// Where replica counts stand.
    pub replicas: Vec<FieldSpec>,
}

fields!(Configuration unmarked {
    "namePrefix" => name_prefix,
    "nameSuffix" => name_suffix,
    "namespace" => namespace,
    "commonLabels" => common_labels,
    "labels" => labels,
    "templateLabels" => template_labels,
    "commonAnnotations" => common_annotations,
    "nameReference" => name_reference,
    "varReference" => var_reference,
    "images" => images,
    "replicas" => replicas,
});

/// The fields that name objects of one kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct NameReference {
    /// Group of the named object; empty for any.
    pub group: EcoString,
    /// Version of the named object; empty for any.
    pub version: EcoString,
    /// Kind of the named object.
    pub kind: EcoString,
    /// The fields.
    pub fields: Vec<FieldSpec>,
}

fields!(NameReference unmarked {
    "group" => group,
    "version" => version,
    "kind" => kind,
    "fieldSpecs" => fields,
});

impl NameReference {
    /// The kind of the named objects, as a selector.
    pub(crate) fn gvk(&self) -> Gvk {
        Gvk {
            group: self.group.clone(),
            version: self.version.clone(),
            kind: self.kind.clone(),
        }
    }
}

impl Configuration {
    /// kustomize's defaults, made once.
    pub(crate) fn defaults() -> Arc<Self> {
        static DEFAULTS: LazyLock<Arc<Configuration>> =
            LazyLock::new(|| Arc::new(defaults::configuration()));
        DEFAULTS.clone()
    }

    /// Adds another configuration's specs to these. The order is part of the rules: a spec that is narrower than
    /// one of the same path takes its place when it comes first, as in kustomize.
    pub(crate) fn merge(&mut self, other: &Self) -> Result<(), Error> {
        let lists = [
            (&mut self.name_prefix, &other.name_prefix),
            (&mut self.name_suffix, &other.name_suffix),
            (&mut self.namespace, &other.namespace),
            (&mut self.common_labels, &other.common_labels),
            (&mut self.labels, &other.labels),
            (&mut self.template_labels, &other.template_labels),
            (&mut self.common_annotations, &other.common_annotations),
            (&mut self.var_reference, &other.var_reference),
            (&mut self.images, &other.images),
            (&mut self.replicas, &other.replicas),
        ];
        for (mine, theirs) in lists {
            merge_specs(mine, theirs)?;
            mine.sort_by_cached_key(|spec| kind_key(&spec.gvk()));
        }
        for reference in &other.name_reference {
            self.merge_reference(reference)?;
        }
        Ok(())
    }

    /// Adds fields that name objects of a kind.
    pub(crate) fn merge_reference(&mut self, reference: &NameReference) -> Result<(), Error> {
        let gvk = reference.gvk();
        match self
            .name_reference
            .iter_mut()
            .find(|mine| mine.gvk() == gvk)
        {
            Some(mine) => merge_specs(&mut mine.fields, &reference.fields),
            None => {
                self.name_reference.push(reference.clone());
                self.name_reference
                    .sort_by_cached_key(|reference| kind_key(&reference.gvk()));
                Ok(())
            }
        }
    }
}

/// Adds specs that are not there yet. One is there when a spec of the same path covers its kinds.
pub(crate) fn merge_specs(mine: &mut Vec<FieldSpec>, theirs: &[FieldSpec]) -> Result<(), Error> {
    for spec in theirs {
        let selector = spec.gvk();
        let covered = mine
            .iter()
            .find(|have| have.path == spec.path && have.gvk().is_selected_by(&selector));
        match covered {
            Some(have) if have.create != spec.create => {
                return Err(Error::new(format!(
                    "two field specs for `{}` differ in `create`",
                    spec.path
                ))
                .at_mark(spec.mark));
            }
            Some(_) => {}
            None => mine.push(spec.clone()),
        }
    }
    Ok(())
}
