//! Generators, transformers and validators of one kustomization, made of its fields and of objects, and run in order.

use super::{Accumulated, Place, accumulate_entries};
use crate::alias;
use crate::budget::Steps;
use crate::configuration::Configuration;
use crate::decode::Text;
use crate::error::{Error, Errors, Mistakes};
use crate::generate::{self, Generated};
use crate::history::{self, Asker};
use crate::load::Session;
use crate::plugins;
use crate::provenance::{self, Step};
use crate::resource::Resource;
use crate::transform::{self, Asked, Setting};

pub(super) fn run_generators(
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
pub(super) type Stepped = (Option<Step>, Asked);

/// All transformers of a kustomization, those of its fields first.
pub(super) fn make_transformers(
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

pub(super) fn run_transformers(
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
pub(super) fn run_validators(
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
