//! `namespace`: every namespaced object, Namespace objects themselves, and the subjects of role bindings.

use super::{Asked, Setting, Transformer, specs_of};
use crate::decode::{Rules, Text, decode, fields};
use crate::error::{Error, Errors};
use crate::fieldspec::{FieldSpec, Make, split_path, visit};
use crate::history::Asker;
use crate::kustomization::{GeneratorMetadata, Kustomization};
use crate::load::Session;
use crate::resource::{Gvk, Resource};
use crate::resources::Resources;
use crate::scalar::{self, Meaning};
use crate::scope;
use crate::yaml::Node;

/// Sets the namespace.
pub(super) struct Namespace {
    namespace: Text,
    specs: Vec<FieldSpec>,
    unset_only: bool,
    subjects: Subjects,
}

/// Which subjects of role bindings are set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subjects {
    /// Those called `default`.
    CalledDefault,
    /// All service accounts.
    ServiceAccounts,
    /// None.
    None,
}

/// A `NamespaceTransformer` object.
#[derive(Clone, Debug, Default)]
struct Configured {
    metadata: GeneratorMetadata,
    field_specs: Vec<FieldSpec>,
    unset_only: bool,
    subjects: Text,
}

fields!(Configured unmarked {
    "metadata" => metadata,
    "fieldSpecs" => field_specs,
    "unsetOnly" => unset_only,
    "setRoleBindingSubjects" => subjects,
});

pub(super) fn from_fields(
    kustomization: &Kustomization,
    setting: &mut Setting<'_, '_>,
) -> Result<Vec<Asked>, Errors> {
    if kustomization.namespace.is_empty() {
        return Ok(Vec::new());
    }
    let namespace = Namespace {
        namespace: kustomization.namespace.clone(),
        specs: setting.configuration.namespace.clone(),
        unset_only: false,
        subjects: Subjects::CalledDefault,
    };
    let asker = Asker::field("namespace", kustomization.namespace.mark);
    Ok(vec![Asked::new(asker, namespace)])
}

pub(super) fn from_object(
    node: &Node,
    _: &mut Setting<'_, '_>,
) -> Result<Box<dyn Transformer>, Errors> {
    let configured: Configured = decode(node, Rules::Object)?;
    let subjects = match &*configured.subjects {
        "" | "defaultOnly" => Subjects::CalledDefault,
        "allServiceAccounts" => Subjects::ServiceAccounts,
        "none" => Subjects::None,
        other => {
            return Err(
                Error::new(format!("setRoleBindingSubjects cannot be `{other}`"))
                    .at_mark(configured.subjects.mark)
                    .hint("it is defaultOnly, allServiceAccounts or none")
                    .into(),
            );
        }
    };
    Ok(Box::new(Namespace {
        namespace: configured.metadata.namespace,
        specs: configured.field_specs,
        unset_only: configured.unset_only,
        subjects,
    }))
}

impl Transformer for Namespace {
    fn transform(
        &self,
        resources: &mut Resources,
        session: &mut Session<'_>,
    ) -> Result<(), Errors> {
        if self.namespace.is_empty() {
            return Ok(());
        }
        resources.each(&mut session.steps, |resource, _| {
            resource.remember_id();
            self.apply(resource)
        })?;
        let conflict = |error: Error| error.hint("the namespace makes two objects one");
        resources
            .check_unique()
            .map_err(|errors| errors.map(conflict))
    }
}

impl Namespace {
    /// Without field specs: objects' own namespaces and the subjects called `default`.
    pub(super) fn plain(namespace: Text) -> Self {
        Self {
            namespace,
            specs: Vec::new(),
            unset_only: false,
            subjects: Subjects::CalledDefault,
        }
    }

    pub(super) fn apply(&self, resource: &mut Resource) -> Result<(), Error> {
        let gvk = resource.gvk();
        if !scope::is_cluster_wide(&gvk) {
            let path = split_path("metadata/namespace");
            visit(&mut resource.node, &path, Make::Scalar, &mut |node| {
                self.set(node)
            })?;
        }
        let is_binding = matches!(gvk.kind.as_str(), "RoleBinding" | "ClusterRoleBinding");
        if is_binding {
            self.set_subjects(&mut resource.node)?;
        }
        for spec in specs_of(&self.specs, &gvk) {
            if self.is_for_others(spec, &gvk) || (is_binding && is_subjects(spec)) {
                continue;
            }
            spec.visit(&mut resource.node, Make::Scalar, &mut |node| self.set(node))?;
        }
        Ok(())
    }

    /// `metadata/namespace` is set above, and `metadata/name` only for the core API.
    fn is_for_others(&self, spec: &FieldSpec, gvk: &Gvk) -> bool {
        spec.path == "metadata/namespace"
            || (spec.path == "metadata/name" && gvk.api_version() != "v1")
    }

    fn set(&self, node: &mut Node) -> Result<(), Error> {
        let has_value = !node.is_null() && node.exposed().is_some_and(|text| !text.is_empty());
        if self.unset_only && has_value {
            return Ok(());
        }
        scalar::set(
            node,
            self.namespace.text.clone(),
            Meaning::Text,
            self.namespace.mark,
        )
    }

    fn set_subjects(&self, node: &mut Node) -> Result<(), Error> {
        let (field, wanted) = match self.subjects {
            Subjects::None => return Ok(()),
            Subjects::CalledDefault => ("name", "default"),
            Subjects::ServiceAccounts => ("kind", "ServiceAccount"),
        };
        let Some(subjects) = node
            .get_mut("subjects")
            .filter(|subjects| !subjects.is_null())
        else {
            return Ok(());
        };
        let mark = subjects.mark;
        let Some(subjects) = subjects.as_sequence_mut() else {
            return Err(Error::new("`subjects` is no list").at_mark(mark));
        };
        let path = split_path("namespace");
        subjects
            .iter_mut()
            .filter(|subject| subject.find_str(&[field]) == Some(wanted))
            .try_for_each(|subject| visit(subject, &path, Make::Scalar, &mut |node| self.set(node)))
    }
}

fn is_subjects(spec: &FieldSpec) -> bool {
    matches!(spec.kind.as_str(), "RoleBinding" | "ClusterRoleBinding")
        && spec.path == "subjects/namespace"
}
