//! Bases, components and resources: the folders of a build come together into one collection of manifests.

use std::collections::HashSet;
use std::sync::Arc;

use crate::alias;
use crate::budget::{Steps, within};
use crate::build::Purpose;
use crate::configuration::Configuration;
use crate::crds;
use crate::decode::{Rules, Text, decode};
use crate::error::{Error, Errors};
use crate::generate::{self, Generated};
use crate::history::{self, Asker};
use crate::kustomization::Kustomization;
use crate::kustomization_file::{self, Kind};
use crate::load::{Folder, Session};
use crate::manifest;
use crate::path;
use crate::plugins;
use crate::provenance::{self, Step};
use crate::refs::Variables;
use crate::resource::{Id, Resource};
use crate::resources::Resources;
use crate::transform::{self, Asked, Setting};
use crate::tree::EntryKind;
use crate::yaml::Dialect;

/// What a kustomization brings together: manifests, and the rules that hold for them.
#[derive(Default)]
pub(crate) struct Accumulated {
    /// The manifests.
    pub resources: Resources,
    /// The field specs of all kustomizations so far; none before the first.
    pub configuration: Option<Arc<Configuration>>,
    /// The variables of all kustomizations so far.
    pub variables: Variables,
}

impl Accumulated {
    /// Adds field specs. Those of the defaults are already there when nothing else is.
    fn configure(&mut self, other: &Arc<Configuration>) -> Result<(), Error> {
        match &mut self.configuration {
            None if Arc::ptr_eq(other, &Configuration::defaults()) => {
                self.configuration = Some(other.clone());
                Ok(())
            }
            Some(mine) if Arc::ptr_eq(mine, other) => Ok(()),
            mine => Arc::make_mut(mine.get_or_insert_default()).merge(other),
        }
    }

    fn merge(&mut self, other: Self, known: &mut HashSet<Id>) -> Result<(), Error> {
        self.resources.gone.extend(other.resources.gone);
        self.resources.append_unknown(other.resources.list, known)?;
        if let Some(configuration) = &other.configuration {
            self.configure(configuration)?;
        }
        self.variables.merge(other.variables)
    }
}

/// A kustomization on its way: its file, its folder, and the path by which the build came to it.
pub(crate) struct Place<'k> {
    /// The file.
    pub kustomization: &'k Kustomization,
    /// The folder.
    pub folder: &'k Folder,
    /// The path from the folder of the build, as the kustomizations on the way name it; when origins are noted.
    pub origin: Option<String>,
    /// The file's name.
    pub file_name: &'k str,
}

impl Place<'_> {
    /// An entry's path from the folder of the build.
    fn origin_of(&self, entry: &str) -> Option<String> {
        let origin = self.origin.as_ref()?;
        Some(lexical_join(origin, entry))
    }

    /// The step that a field of this kustomization stands for.
    fn step(&self, kind: &str) -> Option<Step> {
        Some(Step::field(self.origin_of(self.file_name)?, kind))
    }
}

/// Joins paths by their text; unlike paths of the tree, the result may begin with `..`.
fn lexical_join(folder: &str, name: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(name.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Adds what a kustomization brings to what is there: for a component that is its parent's.
pub(crate) fn accumulate(
    place: &Place<'_>,
    mut into: Accumulated,
    session: &mut Session<'_>,
) -> Result<Accumulated, Errors> {
    let kustomization = place.kustomization;
    let resources = &kustomization.resources;
    let read = accumulate_entries(place, resources, "resources", &mut into, session);
    let configured = add_configurations(place, &mut into, session);
    let generated = generate::from_fields(kustomization, place.folder, session);
    if read.is_err() || configured.is_err() || generated.is_err() {
        let made = make_transformers(place, &into, session).map(drop);
        return Err(all_errors([read, configured, generated.map(drop), made]));
    }
    run_generators(place, generated?, &mut into, session)?;
    for (index, component) in kustomization.components.iter().enumerate() {
        into = accumulate_component(place, component, into, session)
            .map_err(|errors| during(errors, component, format!("components[{index}]")))?;
    }
    run_transformers(place, &mut into, session)?;
    run_validators(place, &mut into, session)?;
    into.variables
        .declare(&kustomization.vars, &mut into.resources, &mut session.steps)?;
    Ok(into)
}

/// The mistakes of steps that do not depend on one another.
fn all_errors<const N: usize>(results: [Result<(), Errors>; N]) -> Errors {
    let errors = results.into_iter().filter_map(Result::err);
    Errors(errors.flat_map(|errors| errors.0).collect())
}

fn during(errors: Errors, entry: &Text, act: String) -> Errors {
    let tell = |error: Error| error.at_mark(entry.mark).during(act.clone());
    Errors(errors.0.into_iter().map(tell).collect())
}

/// Reads the files and folders of a list. Mistakes in one entry do not hide those of another.
fn accumulate_entries(
    place: &Place<'_>,
    entries: &[Text],
    field: &'static str,
    into: &mut Accumulated,
    session: &mut Session<'_>,
) -> Result<(), Errors> {
    let mut errors = Vec::new();
    let mut known = into.resources.keys();
    for (index, entry) in entries.iter().enumerate() {
        if let Err(more) = accumulate_entry(place, entry, into, &mut known, session) {
            errors.extend(during(more, entry, format!("{field}[{index}]")).0);
        }
        let asker = Asker::entry(field, index, entry.mark);
        history::note(&mut into.resources, asker, session.options);
        within(
            into.resources.list.len(),
            session.options.budget.objects,
            "objects",
        )?;
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Errors(errors))
    }
}

fn accumulate_entry(
    place: &Place<'_>,
    entry: &Text,
    into: &mut Accumulated,
    known: &mut HashSet<Id>,
    session: &mut Session<'_>,
) -> Result<(), Errors> {
    path::check(entry)?;
    match session.find(place.folder, entry)? {
        Some((_, EntryKind::Folder)) => {
            let base = accumulate_base(place, entry, session)?;
            Ok(into.merge(base, known)?)
        }
        Some((_, EntryKind::File)) => {
            let documents = session.documents(place.folder, entry, Purpose::Resource)?;
            let mut resources = manifest::collection(&documents, &session.files)?;
            session.openapi.meet(&resources.list);
            if let Some(path) = place.origin_of(entry) {
                let step = Step::File(path);
                resources
                    .list
                    .iter_mut()
                    .for_each(|resource| provenance::set_origin(resource, &step));
            }
            Ok(into.resources.append_unknown(resources.list, known)?)
        }
        Some(_) => {
            Err(Error::new(format!("{} is a submodule, which is not read", &**entry)).into())
        }
        None => Err(not_there(entry)),
    }
}

fn not_there(entry: &Text) -> Errors {
    Error::new(format!("there is no file or folder {}", &**entry)).into()
}

fn accumulate_base(
    place: &Place<'_>,
    entry: &Text,
    session: &mut Session<'_>,
) -> Result<Accumulated, Errors> {
    let folder = session.enter(place.folder, entry)?;
    let loaded = kustomization_file::load(&folder, Kind::Kustomization, session)?;
    let base = Place {
        kustomization: &loaded.kustomization,
        folder: &folder,
        origin: place.origin_of(entry),
        file_name: loaded.file_name,
    };
    accumulate(&base, Accumulated::default(), session)
}

fn accumulate_component(
    place: &Place<'_>,
    entry: &Text,
    into: Accumulated,
    session: &mut Session<'_>,
) -> Result<Accumulated, Errors> {
    path::check(entry)?;
    let folder = match session.find(place.folder, entry)? {
        Some((_, EntryKind::Folder)) => session.enter(place.folder, entry)?,
        Some(_) => {
            return Err(
                Error::new(format!("{} is no folder, and a component is one", &**entry)).into(),
            );
        }
        None => return Err(not_there(entry)),
    };
    let loaded = kustomization_file::load(&folder, Kind::Component, session)?;
    let component = Place {
        kustomization: &loaded.kustomization,
        folder: &folder,
        origin: place.origin_of(entry),
        file_name: loaded.file_name,
    };
    accumulate(&component, into, session)
}

/// The field specs of the defaults, of `configurations` and of `crds`.
fn add_configurations(
    place: &Place<'_>,
    into: &mut Accumulated,
    session: &mut Session<'_>,
) -> Result<(), Errors> {
    let kustomization = place.kustomization;
    let mut own = Configuration::defaults();
    for (index, entry) in kustomization.configurations.iter().enumerate() {
        let more = read_configuration(place, entry, session)
            .map_err(|errors| during(errors, entry, format!("configurations[{index}]")))?;
        Arc::make_mut(&mut own).merge(&more)?;
    }
    into.configure(&own)?;
    for (index, entry) in kustomization.crds.iter().enumerate() {
        let more = crds::read(place.folder, entry, session)
            .map_err(|errors| during(errors, entry, format!("crds[{index}]")))?;
        into.configure(&Arc::new(more))?;
    }
    Ok(())
}

fn read_configuration(
    place: &Place<'_>,
    entry: &Text,
    session: &mut Session<'_>,
) -> Result<Configuration, Errors> {
    let mut more = Configuration::default();
    for document in session
        .plain_documents(place.folder, entry, Dialect::Kubernetes)?
        .iter()
        .take(1)
    {
        more = decode(document, Rules::Configuration)?;
    }
    Ok(more)
}

fn run_generators(
    place: &Place<'_>,
    generated: Vec<Generated>,
    into: &mut Accumulated,
    session: &mut Session<'_>,
) -> Result<(), Errors> {
    for Generated {
        generator,
        asker,
        resource,
    } in generated
    {
        session.steps.take(2 * into.resources.list.len())?;
        absorb(resource, place.step(generator), into)?;
        history::note(&mut into.resources, asker, session.options);
    }
    let entries = &place.kustomization.generators;
    for object in plugin_objects(place, entries, "generators", session)? {
        let kind = plugins::builtin_kind(&object)?;
        let resource = generate::from_object(kind, &object.node, place.folder, session)?;
        session.steps.take(2 * into.resources.list.len())?;
        absorb(resource, Step::object(&object), into)?;
        let asker = Asker::field("generators", object.node.mark);
        history::note(&mut into.resources, asker, session.options);
    }
    Ok(())
}

fn absorb(mut resource: Resource, step: Option<Step>, into: &mut Accumulated) -> Result<(), Error> {
    if let Some(step) = step {
        provenance::add_origin(&mut resource, &step);
    }
    let mark = resource.node.mark;
    into.resources
        .absorb(resource)
        .map_err(|error| error.at_mark(mark))
}

/// A transformer, and the step of an object's history that it stands for.
type Stepped = (Option<Step>, Asked);

/// All transformers of a kustomization, those of its fields first.
fn make_transformers(
    place: &Place<'_>,
    into: &Accumulated,
    session: &mut Session<'_>,
) -> Result<Vec<Stepped>, Errors> {
    let defaults = Configuration::defaults();
    let configuration = into.configuration.as_ref().unwrap_or(&defaults);
    let mut setting = Setting {
        session: &mut *session,
        folder: place.folder,
        configuration,
    };
    let made = transform::from_fields(place.kustomization, &mut setting)?;
    let mut transformers: Vec<Stepped> = made
        .into_iter()
        .map(|(kind, asked)| (place.step(kind), asked))
        .collect();
    let entries = &place.kustomization.transformers;
    transformers.extend(configured(
        place,
        entries,
        "transformers",
        configuration,
        session,
    )?);
    Ok(transformers)
}

fn run_transformers(
    place: &Place<'_>,
    into: &mut Accumulated,
    session: &mut Session<'_>,
) -> Result<(), Errors> {
    for (step, asked) in make_transformers(place, into, session)? {
        let work = into.resources.list.len() * Steps::PER_OBJECT;
        session.steps.take(work)?;
        asked.transformer.transform(&mut into.resources, session)?;
        into.resources.drop_gone();
        into.resources.list.iter_mut().for_each(alias::settle);
        if let Some(step) = step {
            into.resources
                .list
                .iter_mut()
                .for_each(|resource| provenance::add_transformation(resource, &step));
        }
        history::note(&mut into.resources, asked.asker, session.options);
    }
    Ok(())
}

/// The transformers that objects under a field describe.
fn configured(
    place: &Place<'_>,
    entries: &[Text],
    field: &'static str,
    configuration: &Configuration,
    session: &mut Session<'_>,
) -> Result<Vec<Stepped>, Errors> {
    let mut made = Vec::new();
    for object in plugin_objects(place, entries, field, session)? {
        let kind = plugins::builtin_kind(&object)?;
        let mut setting = Setting {
            session: &mut *session,
            folder: place.folder,
            configuration,
        };
        let asked = transform::from_object(kind, &object.node, &mut setting)?;
        made.push((Step::object(&object), asked));
    }
    Ok(made)
}

/// Validators are transformers that leave everything as it was, but for a label of their own.
fn run_validators(
    place: &Place<'_>,
    into: &mut Accumulated,
    session: &mut Session<'_>,
) -> Result<(), Errors> {
    let entries = &place.kustomization.validators;
    if entries.is_empty() {
        return Ok(());
    }
    let configuration = into
        .configuration
        .clone()
        .unwrap_or_else(Configuration::defaults);
    for (_, validator) in configured(place, entries, "validators", &configuration, session)? {
        let before: Vec<_> = into
            .resources
            .list
            .iter()
            .map(|resource| resource.node.clone())
            .collect();
        validator
            .transformer
            .transform(&mut into.resources, session)?;
        history::note(&mut into.resources, validator.asker, session.options);
        let after = into
            .resources
            .list
            .iter()
            .map(|resource| plugins::without_validated_label(&resource.node));
        if !before.into_iter().eq(after) {
            return Err(Error::new("a validator must not change objects")
                .at_mark(entries[0].mark)
                .during("validators")
                .into());
        }
    }
    Ok(())
}

/// The objects that entries of `generators`, `transformers` or `validators` mean: inline ones first, then those
/// of files and folders.
fn plugin_objects(
    place: &Place<'_>,
    entries: &[Text],
    field: &'static str,
    session: &mut Session<'_>,
) -> Result<Vec<Resource>, Errors> {
    let mut found = Accumulated::default();
    let mut paths = Vec::new();
    for entry in entries {
        match plugins::inline(entry, place.folder, session) {
            Some(mut resources) => {
                if let Some(path) = place.origin_of(place.file_name) {
                    let step = Step::File(path);
                    resources
                        .list
                        .iter_mut()
                        .for_each(|resource| provenance::set_origin(resource, &step));
                }
                found.resources.append_all(resources.list)?;
            }
            None => paths.push(entry.clone()),
        }
    }
    accumulate_entries(place, &paths, field, &mut found, session)?;
    Ok(found.resources.list)
}
