//! `replicas`: how many pods an object asks for.

use super::{Asked, Setting, Transformer};
use crate::decode::{Rules, decode, fields};
use crate::error::{Error, Errors};
use crate::fieldspec::{FieldSpec, Make};
use crate::history::Asker;
use crate::kustomization::{Kustomization, Replica};
use crate::load::Session;
use crate::resources::Resources;
use crate::scalar::{self, Meaning};
use crate::yaml::Node;

/// Sets the count of the objects of one name.
#[derive(Clone, Debug, Default)]
struct Replicas {
    replica: Replica,
    field_specs: Vec<FieldSpec>,
}

fields!(Replicas unmarked { "replica" => replica, "fieldSpecs" => field_specs });

pub(super) fn from_fields(
    kustomization: &Kustomization,
    setting: &mut Setting<'_, '_>,
) -> Result<Vec<Asked>, Errors> {
    let asked = |(index, replica): (usize, &Replica)| {
        let replicas = Replicas {
            replica: replica.clone(),
            field_specs: setting.configuration.replicas.clone(),
        };
        Asked::new(Asker::entry("replicas", index, replica.mark), replicas)
    };
    let entries = kustomization.replicas.iter().enumerate();
    Ok(entries.map(asked).collect())
}

pub(super) fn from_object(
    node: &Node,
    _: &mut Setting<'_, '_>,
) -> Result<Box<dyn Transformer>, Errors> {
    Ok(Box::new(decode::<Replicas>(node, Rules::Object)?))
}

impl Transformer for Replicas {
    fn transform(&self, resources: &mut Resources, _: &mut Session<'_>) -> Result<(), Errors> {
        let mut found = false;
        let count = self.replica.count.to_string();
        for spec in &self.field_specs {
            let selector = spec.gvk();
            let positions =
                resources.positions_of(&self.replica.name, |id| id.gvk.is_selected_by(&selector));
            for position in positions {
                found = true;
                let resource = &mut resources.list[position];
                if !spec.is_for(&resource.gvk()) {
                    continue;
                }
                let set = &mut |node: &mut Node| {
                    scalar::set(node, count.as_str(), Meaning::Number, self.replica.mark)
                };
                spec.visit(&mut resource.node, Make::Scalar, set)
                    .map_err(|error| resource.blame(error))?;
            }
        }
        if found {
            return Ok(());
        }
        let kinds: Vec<&str> = self
            .field_specs
            .iter()
            .map(|spec| spec.kind.as_str())
            .collect();
        Err(Error::new(format!(
            "no object that has replicas is called `{}`",
            &*self.replica.name
        ))
        .at_mark(self.replica.name.mark)
        .hint(format!("replicas are set on {}", kinds.join(", ")))
        .into())
    }
}
