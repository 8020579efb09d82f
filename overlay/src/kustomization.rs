//! The kustomization file as typed data, with old fields brought to new ones.

use std::collections::BTreeMap;

use ecow::EcoString;

use crate::decode::{Text, fields};
use crate::fieldspec::FieldSpec;
use crate::select::Selector;
use crate::yaml::{Mark, Node};

/// Labels or annotations, by key.
pub(crate) type Pairs = BTreeMap<EcoString, Text>;

/// The names that a kustomization file may have, in the order in which they are looked for.
pub(crate) const FILE_NAMES: [&str; 3] =
    ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// A kustomization file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kustomization {
    /// Where it begins.
    pub mark: Mark,
    /// `apiVersion`; empty when left out.
    pub api_version: Text,
    /// `kind`; empty when left out.
    pub kind: Text,
    /// `metadata`, which says nothing to the build.
    pub metadata: Option<Node>,
    /// `openapi`: `path` or `version` of a schema.
    pub openapi: BTreeMap<EcoString, Text>,
    /// `namePrefix`.
    pub name_prefix: Text,
    /// `nameSuffix`.
    pub name_suffix: Text,
    /// `namespace`.
    pub namespace: Text,
    /// `commonLabels` (old): labels on everything, selectors included.
    pub common_labels: Pairs,
    /// `labels`.
    pub labels: Vec<Label>,
    /// `commonAnnotations`.
    pub common_annotations: Pairs,
    /// `patchesStrategicMerge` (old): paths or inline patches.
    pub patches_strategic_merge: Vec<Text>,
    /// `patchesJson6902` (old).
    pub patches_json6902: Vec<Patch>,
    /// `patches`.
    pub patches: Vec<Patch>,
    /// `images`, then the old `imageTags`.
    pub images: Vec<Image>,
    /// `imageTags` (old); empty once read.
    pub image_tags: Vec<Image>,
    /// `replacements`.
    pub replacements: Vec<Replacement>,
    /// `replicas`.
    pub replicas: Vec<Replica>,
    /// `vars` (old).
    pub vars: Vec<Variable>,
    /// `sortOptions`.
    pub sort_options: Option<SortOptions>,
    /// `resources`, then the old `bases`.
    pub resources: Vec<Text>,
    /// `components`.
    pub components: Vec<Text>,
    /// `crds`: files of OpenAPI definitions.
    pub crds: Vec<Text>,
    /// `bases` (old); empty once read.
    pub bases: Vec<Text>,
    /// `configMapGenerator`.
    pub config_map_generator: Vec<GeneratorEntry>,
    /// `secretGenerator`.
    pub secret_generator: Vec<GeneratorEntry>,
    /// `helmGlobals`, not supported.
    pub helm_globals: Option<Node>,
    /// `helmCharts`, not supported.
    pub helm_charts: Option<Node>,
    /// `helmChartInflationGenerator` (old), not supported.
    pub helm_chart_inflation_generator: Option<Node>,
    /// `generatorOptions`.
    pub generator_options: Option<GeneratorOptions>,
    /// `configurations`: files of field specs.
    pub configurations: Vec<Text>,
    /// `generators`: files or inline objects.
    pub generators: Vec<Text>,
    /// `transformers`: files, folders or inline objects.
    pub transformers: Vec<Text>,
    /// `validators`: files, folders or inline objects.
    pub validators: Vec<Text>,
    /// `buildMetadata`.
    pub build_metadata: Vec<Text>,
}

fields!(Kustomization {
    "apiVersion" => api_version,
    "kind" => kind,
    "metadata" => metadata,
    "openapi" => openapi,
    "namePrefix" => name_prefix,
    "nameSuffix" => name_suffix,
    "namespace" => namespace,
    "commonLabels" => common_labels,
    "labels" => labels,
    "commonAnnotations" => common_annotations,
    "patchesStrategicMerge" => patches_strategic_merge,
    "patchesJson6902" => patches_json6902,
    "patches" => patches,
    "images" => images,
    "imageTags" => image_tags,
    "replacements" => replacements,
    "replicas" => replicas,
    "vars" => vars,
    "sortOptions" => sort_options,
    "resources" => resources,
    "components" => components,
    "crds" => crds,
    "bases" => bases,
    "configMapGenerator" => config_map_generator,
    "secretGenerator" => secret_generator,
    "helmGlobals" => helm_globals,
    "helmCharts" => helm_charts,
    "helmChartInflationGenerator" => helm_chart_inflation_generator,
    "generatorOptions" => generator_options,
    "configurations" => configurations,
    "generators" => generators,
    "transformers" => transformers,
    "validators" => validators,
    "buildMetadata" => build_metadata,
});

/// An entry of `labels`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Label {
    /// The labels.
    pub pairs: Pairs,
    /// Selectors and templates too.
    pub include_selectors: bool,
    /// Templates too.
    pub include_templates: bool,
    /// More places.
    pub fields: Vec<FieldSpec>,
}

fields!(Label unmarked {
    "pairs" => pairs,
    "includeSelectors" => include_selectors,
    "includeTemplates" => include_templates,
    "fields" => fields,
});

/// An entry of `patches` or `patchesJson6902`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patch {
    /// Where the entry begins.
    pub mark: Mark,
    /// A file.
    pub path: Text,
    /// The patch itself.
    pub patch: Text,
    /// What it is applied to.
    pub target: Option<Selector>,
    /// What it may change.
    pub options: Option<PatchOptions>,
}

fields!(Patch {
    "path" => path,
    "patch" => patch,
    "target" => target,
    "options" => options,
});

/// `options` of a patch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PatchOptions {
    /// The patch may rename its target.
    pub allow_name_change: bool,
    /// The patch may change its target's kind.
    pub allow_kind_change: bool,
}

fields!(PatchOptions unmarked {
    "allowNameChange" => allow_name_change,
    "allowKindChange" => allow_kind_change,
});

fields!(Selector {
    "group" => group,
    "version" => version,
    "kind" => kind,
    "name" => name,
    "namespace" => namespace,
    "annotationSelector" => annotation_selector,
    "labelSelector" => label_selector,
});

/// An entry of `images`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    /// Where the entry begins.
    pub mark: Mark,
    /// Which image; a regular expression, as kustomize has it.
    pub name: Text,
    /// Its new name.
    pub new_name: Text,
    /// Added to its tag.
    pub tag_suffix: Text,
    /// Its new tag.
    pub new_tag: Text,
    /// Its new digest.
    pub digest: Text,
}

fields!(Image {
    "name" => name,
    "newName" => new_name,
    "tagSuffix" => tag_suffix,
    "newTag" => new_tag,
    "digest" => digest,
});

/// An entry of `replicas`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replica {
    /// Where the entry begins.
    pub mark: Mark,
    /// The object's name, now or before.
    pub name: Text,
    /// How many.
    pub count: i64,
}

fields!(Replica { "name" => name, "count" => count });

/// An entry of `replacements`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replacement {
    /// Where the entry begins.
    pub mark: Mark,
    /// A file of replacements, instead of the other fields.
    pub path: Text,
    /// Where the value is read.
    pub source: Option<ReplacementSource>,
    /// The value itself, instead of a source.
    pub source_value: Option<Text>,
    /// Where it is written; none when the field is missing.
    pub targets: Option<Vec<ReplacementTarget>>,
}

fields!(Replacement {
    "path" => path,
    "source" => source,
    "sourceValue" => source_value,
    "targets" => targets,
});

/// `source` of a replacement: exact ids, no expressions.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReplacementSource {
    /// Where it begins.
    pub mark: Mark,
    /// Group; empty for any.
    pub group: EcoString,
    /// Version; empty for any.
    pub version: EcoString,
    /// Kind; empty for any.
    pub kind: EcoString,
    /// Name; empty for any.
    pub name: EcoString,
    /// Namespace; empty for any.
    pub namespace: EcoString,
    /// The field; `metadata.name` when empty.
    pub field_path: Text,
    /// Which part of the value.
    pub options: Option<FieldOptions>,
}

fields!(ReplacementSource {
    "group" => group,
    "version" => version,
    "kind" => kind,
    "name" => name,
    "namespace" => namespace,
    "fieldPath" => field_path,
    "options" => options,
});

/// An entry of a replacement's `targets`.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReplacementTarget {
    /// Where the entry begins.
    pub mark: Mark,
    /// Which objects.
    pub select: Option<Selector>,
    /// Which of them not.
    pub reject: Vec<Selector>,
    /// Which fields; `metadata.name` when empty.
    pub field_paths: Vec<Text>,
    /// Which part of the field.
    pub options: Option<FieldOptions>,
}

fields!(ReplacementTarget {
    "select" => select,
    "reject" => reject,
    "fieldPaths" => field_paths,
    "options" => options,
});

/// `options` of a replacement's source or target.
#[derive(Clone, Debug, Default)]
pub(crate) struct FieldOptions {
    /// Where it begins.
    pub mark: Mark,
    /// Splits the value.
    pub delimiter: EcoString,
    /// Which part.
    pub index: i64,
    /// Read and not used, as in kustomize.
    pub encoding: EcoString,
    /// Makes the field when it is missing.
    pub create: bool,
}

fields!(FieldOptions {
    "delimiter" => delimiter,
    "index" => index,
    "encoding" => encoding,
    "create" => create,
});

/// An entry of `vars`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variable {
    /// Where the entry begins.
    pub mark: Mark,
    /// The name between `$(` and `)`.
    pub name: Text,
    /// The object that it reads.
    pub object: VariableObject,
    /// The field that it reads.
    pub field: VariableField,
}

fields!(Variable { "name" => name, "objref" => object, "fieldref" => field });

/// `objref` of a var.
#[derive(Clone, Debug, Default)]
pub(crate) struct VariableObject {
    /// Group and version in one.
    pub api_version: EcoString,
    /// Group.
    pub group: EcoString,
    /// Version.
    pub version: EcoString,
    /// Kind.
    pub kind: EcoString,
    /// Name.
    pub name: EcoString,
    /// Namespace; empty for any.
    pub namespace: EcoString,
}

fields!(VariableObject unmarked {
    "apiVersion" => api_version,
    "group" => group,
    "version" => version,
    "kind" => kind,
    "name" => name,
    "namespace" => namespace,
});

/// `fieldref` of a var.
#[derive(Clone, Debug, Default)]
pub(crate) struct VariableField {
    /// The field; `metadata.name` when empty.
    pub field_path: EcoString,
}

fields!(VariableField unmarked { "fieldPath" => field_path });

/// An entry of `configMapGenerator` or `secretGenerator`.
#[derive(Clone, Debug, Default)]
pub(crate) struct GeneratorEntry {
    /// Where the entry begins.
    pub mark: Mark,
    /// Name, before prefix, suffix and hash.
    pub name: Text,
    /// Namespace; empty for none.
    pub namespace: Text,
    /// `create`, `replace` or `merge`.
    pub behavior: Text,
    /// `key=value`.
    pub literals: Vec<Text>,
    /// `path` or `key=path`.
    pub files: Vec<Text>,
    /// Files of `key=value` lines.
    pub envs: Vec<Text>,
    /// One more of `envs` (old); empty once read.
    pub env: Text,
    /// `type` of a Secret.
    pub kind_of_secret: Text,
    /// How the object is made.
    pub options: Option<GeneratorOptions>,
}

fields!(GeneratorEntry {
    "name" => name,
    "namespace" => namespace,
    "behavior" => behavior,
    "literals" => literals,
    "files" => files,
    "envs" => envs,
    "env" => env,
    "type" => kind_of_secret,
    "options" => options,
});

/// `metadata` of a generator object.
#[derive(Clone, Debug, Default)]
pub(crate) struct GeneratorMetadata {
    /// Name.
    pub name: Text,
    /// Namespace.
    pub namespace: Text,
}

fields!(GeneratorMetadata unmarked { "name" => name, "namespace" => namespace });

/// `generatorOptions`, or `options` of one generator.
#[derive(Clone, Debug, Default)]
pub(crate) struct GeneratorOptions {
    /// Where it begins.
    pub mark: Mark,
    /// Labels of the generated objects.
    pub labels: Pairs,
    /// Annotations of the generated objects.
    pub annotations: Pairs,
    /// No hash behind the name.
    pub disable_name_suffix_hash: bool,
    /// `immutable: true`.
    pub immutable: bool,
}

fields!(GeneratorOptions {
    "labels" => labels,
    "annotations" => annotations,
    "disableNameSuffixHash" => disable_name_suffix_hash,
    "immutable" => immutable,
});

/// `sortOptions`.
#[derive(Clone, Debug, Default)]
pub(crate) struct SortOptions {
    /// Where it begins.
    pub mark: Mark,
    /// `legacy` or `fifo`.
    pub order: Text,
    /// The kinds of the legacy order.
    pub legacy: Option<LegacyOrder>,
}

fields!(SortOptions { "order" => order, "legacySortOptions" => legacy });

/// `legacySortOptions`.
#[derive(Clone, Debug, Default)]
pub(crate) struct LegacyOrder {
    /// Where it begins.
    pub mark: Mark,
    /// Kinds that come first.
    pub first: Vec<EcoString>,
    /// Kinds that come last.
    pub last: Vec<EcoString>,
}

fields!(LegacyOrder { "orderFirst" => first, "orderLast" => last });
