//! Bases, components and resources: the folders of a build come together into one collection of manifests.

use std::collections::HashSet;
use std::sync::Arc;

use crate::ahead;
use crate::alias;
use crate::budget::{Steps, within};
use crate::build::Purpose;
use crate::configuration::Configuration;
use crate::crds;
use crate::decode::{Rules, Text, decode};
use crate::error::{Error, Errors, Mistakes};
use crate::generate::{self, Generated};
use crate::history::{self, Asker};
use crate::kustomization::Kustomization;
use crate::kustomization_file::{self, Kind, Loaded};
use crate::load::{Folder, Session};
use crate::manifest;
use crate::path;
use crate::plugins;
use crate::provenance::{self, Step};
use crate::refs::Variables;
use crate::resource::{Id, Resource};
use crate::resources::Resources;
use crate::shared;
use crate::transform::{self, Asked, Setting};
use crate::tree::EntryKind;
use crate::yaml::Dialect;

/// What a kustomization brings together: manifests, and the rules that hold for them.
#[derive(Clone, Default)]
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

    fn merge(&mut self, other: Self, known: &mut HashSet<Id>) -> Result<(), Errors> {
        self.resources.gone.extend(other.resources.gone);
        self.resources.append_unknown(other.resources.list, known)?;
        if let Some(configuration) = &other.configuration {
            self.configure(configuration)?;
        }
        Ok(self.variables.merge(other.variables)?)
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

/// Adds what a kustomization brings to what is there: for a component that is its parent's. What is wrong with its
/// file is known already.
pub(crate) fn accumulate(
    place: &Place<'_>,
    mut mistakes: Mistakes,
    mut into: Accumulated,
    session: &mut Session<'_>,
) -> Result<Accumulated, Errors> {
    let kustomization = place.kustomization;
    let generated = read_own(place, &mut into, session, &mut mistakes);
    if mistakes.is_empty() {
        mistakes.of(run_generators(place, generated, &mut into, session));
    }
    if !mistakes.is_empty() {
        return Err(survey(place, 0, mistakes, session));
    }
    for index in 0..kustomization.components.len() {
        into = match accumulate_component(place, index, into, session) {
            Ok(into) => into,
            Err(errors) => return Err(survey(place, index + 1, Mistakes(errors.0), session)),
        };
    }
    run_transformers(place, &mut into, session)?;
    run_validators(place, &mut into, session)?;
    into.variables
        .declare(&kustomization.vars, &mut into.resources, &mut session.steps)?;
    Ok(into)
}

/// Reads what a kustomization itself names, and makes what its generator fields ask for.
fn read_own(
    place: &Place<'_>,
    into: &mut Accumulated,
    session: &mut Session<'_>,
    mistakes: &mut Mistakes,
) -> Vec<Generated> {
    let kustomization = place.kustomization;
    let resources = &kustomization.resources;
    mistakes.of(accumulate_entries(
        place,
        resources,
        "resources",
        into,
        session,
    ));
    mistakes.of(add_configurations(place, into, session));
    let generated = generate::from_fields(kustomization, place.folder, session);
    mistakes.of(generated).unwrap_or_default()
}

/// Looks at what comes after a mistake and can be judged without what the mistake hides: the transformers, and the
/// components from one on.
fn survey(
    place: &Place<'_>,
    from: usize,
    mut mistakes: Mistakes,
    session: &mut Session<'_>,
) -> Errors {
    mistakes.of(make_transformers(place, &Accumulated::default(), session));
    for index in from..place.kustomization.components.len() {
        mistakes.of(survey_component(place, index, session));
    }
    Errors(mistakes.0)
}

fn during(errors: Errors, entry: &Text, act: String) -> Errors {
    errors.map(|error| error.at_mark(entry.mark).during(act.clone()))
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
    let (read, mut is_ahead) = (session.spent.bytes, place.origin.is_some());
    for (index, entry) in entries.iter().enumerate() {
        if !is_ahead {
            let read = session.spent.bytes - read;
            is_ahead = ahead::build(place, &entries[index..], read, session);
        }
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
            into.merge(base, known)
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
            into.resources.append_unknown(resources.list, known)
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
    let origin = place.origin_of(entry);
    // Where an object came from is told from the folder of the build, so that no two builds can share it.
    match origin {
        Some(_) => build_base(&folder, origin, session),
        None => shared::base(&folder, session, |session| {
            build_base(&folder, None, session)
        }),
    }
}

/// Builds a base from its files.
pub(crate) fn build_base(
    folder: &Folder,
    origin: Option<String>,
    session: &mut Session<'_>,
) -> Result<Accumulated, Errors> {
    let loaded = kustomization_file::load(folder, Kind::Kustomization, session)?;
    let base = Place {
        kustomization: &loaded.kustomization,
        folder,
        origin,
        file_name: loaded.file_name,
    };
    accumulate(&base, loaded.mistakes, Accumulated::default(), session)
}

/// Does something with a component.
fn with_component<T>(
    place: &Place<'_>,
    index: usize,
    session: &mut Session<'_>,
    act: impl FnOnce(&Place<'_>, Mistakes, &mut Session<'_>) -> Result<T, Errors>,
) -> Result<T, Errors> {
    let entry = &place.kustomization.components[index];
    let done = enter_component(place, entry, session).and_then(|(folder, loaded)| {
        let component = Place {
            kustomization: &loaded.kustomization,
            folder: &folder,
            origin: place.origin_of(entry),
            file_name: loaded.file_name,
        };
        act(&component, loaded.mistakes, session)
    });
    done.map_err(|errors| during(errors, entry, format!("components[{index}]")))
}

fn enter_component(
    place: &Place<'_>,
    entry: &Text,
    session: &mut Session<'_>,
) -> Result<(Folder, Loaded), Errors> {
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
    Ok((folder, loaded))
}

fn accumulate_component(
    place: &Place<'_>,
    index: usize,
    into: Accumulated,
    session: &mut Session<'_>,
) -> Result<Accumulated, Errors> {
    with_component(place, index, session, |component, mistakes, session| {
        accumulate(component, mistakes, into, session)
    })
}

/// The mistakes of a component that can be judged without its parent's objects.
fn survey_component(
    place: &Place<'_>,
    index: usize,
    session: &mut Session<'_>,
) -> Result<(), Errors> {
    with_component(place, index, session, |component, mut mistakes, session| {
        let mut own = Accumulated::default();
        read_own(component, &mut own, session, &mut mistakes);
        Mistakes(survey(component, 0, mistakes, session).0).or(())
    })
}

/// The field specs of the defaults, of `configurations` and of `crds`.
fn add_configurations(
    place: &Place<'_>,
    into: &mut Accumulated,
    session: &mut Session<'_>,
) -> Result<(), Errors> {
    let kustomization = place.kustomization;
    let mut own = Configuration::defaults();
    let mut mistakes = Mistakes::default();
    for (index, entry) in kustomization.configurations.iter().enumerate() {
        let added = read_configuration(place, entry, session)
            .and_then(|more| Ok(Arc::make_mut(&mut own).merge(&more)?));
        let tell = |errors| during(errors, entry, format!("configurations[{index}]"));
        mistakes.of(added.map_err(tell));
    }
    mistakes.of(into.configure(&own));
    for (index, entry) in kustomization.crds.iter().enumerate() {
        let added = crds::read(place.folder, entry, session)
            .and_then(|more| Ok(into.configure(&Arc::new(more))?));
        let tell = |errors| during(errors, entry, format!("crds[{index}]"));
        mistakes.of(added.map_err(tell));
    }
    mistakes.or(())
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
    let mut mistakes = Mistakes::default();
    for Generated {
        generator,
        asker,
        resource,
    } in generated
    {
        session.steps.take(2 * into.resources.list.len())?;
        mistakes.of(absorb(resource, place.step(generator), into));
        history::note(&mut into.resources, asker, session.options);
    }
    let entries = &place.kustomization.generators;
    let objects = plugin_objects(place, entries, "generators", session);
    for object in mistakes.of(objects).unwrap_or_default() {
        let generated = plugins::builtin_kind(&object)
            .map_err(Errors::from)
            .and_then(|kind| generate::from_object(kind, &object.node, place.folder, session));
        let Some(resource) = mistakes.of(generated) else {
            continue;
        };
        session.steps.take(2 * into.resources.list.len())?;
        mistakes.of(absorb(resource, Step::object(&object), into));
        let asker = Asker::field("generators", object.node.mark);
        history::note(&mut into.resources, asker, session.options);
    }
    mistakes.or(())
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
    let mut mistakes = Mistakes::default();
    let made = mistakes.of(transform::from_fields(place.kustomization, &mut setting));
    let mut transformers: Vec<Stepped> = made
        .into_iter()
        .flatten()
        .map(|(kind, asked)| (place.step(kind), asked))
        .collect();
    let entries = &place.kustomization.transformers;
    let more = configured(place, entries, "transformers", configuration, session);
    transformers.extend(mistakes.of(more).into_iter().flatten());
    mistakes.or(transformers)
}

fn run_transformers(
    place: &Place<'_>,
    into: &mut Accumulated,
    session: &mut Session<'_>,
) -> Result<(), Errors> {
    let mut mistakes = Mistakes::default();
    for (step, asked) in make_transformers(place, into, session)? {
        let work = into.resources.list.len() * Steps::PER_OBJECT;
        if mistakes.of(session.steps.take(work)).is_none() {
            break;
        }
        let transformed = asked.transformer.transform(&mut into.resources, session);
        mistakes.of(transformed.map_err(|errors| asked.asker.blame(errors)));
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
    mistakes.or(())
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
    let mut mistakes = Mistakes::default();
    for object in plugin_objects(place, entries, field, session)? {
        let mut setting = Setting {
            session: &mut *session,
            folder: place.folder,
            configuration,
        };
        let asked = plugins::builtin_kind(&object)
            .map_err(Errors::from)
            .and_then(|kind| transform::from_object(kind, &object.node, &mut setting));
        if let Some(asked) = mistakes.of(asked) {
            made.push((Step::object(&object), asked));
        }
    }
    mistakes.or(made)
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
