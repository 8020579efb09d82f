//! Bases, components and resources: the folders of a build come together into one collection of manifests.

mod operators;

use std::collections::HashSet;
use std::sync::Arc;

use crate::ahead;
use crate::budget::within;
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
use crate::provenance::{self, Step};
use crate::refs::Variables;
use crate::resource::Id;
use crate::resources::Resources;
use crate::shared;
use crate::tree::EntryKind;
use crate::yaml::Dialect;
use operators::{make_transformers, run_generators, run_transformers, run_validators};

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
