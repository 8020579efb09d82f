//! What of a cluster came from secrets by what was wanted when it was applied: told from the commits that Kustomizations
//! applied last.
//!
//! A value that an encrypted file gave to a ConfigMap is there for whoever may read ConfigMaps. When the file no longer
//! gives it, nothing that is wanted now says that it is secret.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::future::ready;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use overlay::yaml::{Secret, Style, Tag};
use overlay::{Object, ObjectId, Shared, Tree};
use sops::Answers;

use super::planned::conceal;
use super::{Ground, Grown, Store};
use crate::api::kustomization::{GROUP, Kustomization, KustomizationSpec, reason};
use crate::api::meta::condition::READY;
use crate::cluster::{ObjectKey, OnceSecret};
use crate::environments::{
    LeafName, Lent, Outcome, SecretNames, Settings, is_of_stem, is_stand_in, secret_stem, stem,
    take_unread_patches, variables, with_secrets, without_keys,
};
use crate::reconcile::asking::settle;
use crate::reconcile::inputs::{CONFIG_MAP, Inputs};
use crate::reconcile::{render, run};
use crate::report::failure::Failure;

/// The kind of source whose revisions are commits of the repository.
const GIT_REPOSITORY: &str = "GitRepository";

/// Bytes of files that the builds of one commit share.
const SHARED: usize = 32 << 20;

/// What of what is there came from secrets.
#[derive(Clone, Debug, Default)]
pub struct Earlier {
    /// Where it stands.
    pub once_secret: Arc<OnceSecret>,
    /// Names of generated objects that hold some.
    pub names: SecretNames,
    /// Kustomizations of which it cannot be told, and why.
    pub untold: BTreeMap<LeafName, String>,
}

/// Looks at what the Kustomizations of a place have applied, and at others that had its objects.
pub(super) async fn earlier(
    ground: &Ground<'_>,
    store: &Store<'_>,
    grown: &[Grown],
) -> Result<Earlier, Failure> {
    let mut past = Past {
        ground,
        store,
        settings: Settings {
            marker: ground.settings.marker.clone(),
            // What the caller says now was not said then.
            variables: BTreeMap::new(),
        },
        commits: BTreeMap::new(),
        once_secret: OnceSecret::default(),
        names: SecretNames::default(),
        untold: BTreeMap::new(),
    };
    for (name, object) in concerned(ground, grown)? {
        past.add(name, object).await?;
    }
    Ok(Earlier {
        once_secret: Arc::new(past.once_secret),
        names: past.names,
        untold: past.untold,
    })
}

/// The living Kustomizations whose objects are planned, those that bring others first, and others that had some of them.
fn concerned<'a>(
    ground: &'a Ground<'_>,
    grown: &[Grown],
) -> Result<Vec<(&'a LeafName, &'a Kustomization)>, Failure> {
    let own = grown.iter().map(|grown| &grown.name);
    let mut found: Vec<_> = own
        .filter_map(|name| ground.living.get_key_value(name))
        .collect();
    let wanted = wanted(grown);
    for (name, object) in ground.living {
        let is_own = grown.iter().any(|grown| grown.name == *name);
        if !is_own
            && takes_secrets(&object.spec)
            && run::applied(object)?
                .objects
                .iter()
                .any(|id| wanted.contains(&called(id, &id.namespace)))
        {
            found.push((name, object));
        }
    }
    found.retain(|(_, object)| object.spec.kube_config.is_none());
    Ok(found)
}

/// Group, kind, namespace, name.
type Called<'a> = (&'a str, &'a str, &'a str, &'a str);

fn called<'a>(id: &'a ObjectId, namespace: &'a str) -> Called<'a> {
    (&id.group, &id.kind, namespace, &id.name)
}

/// All that is wanted, as an inventory may have it: in the namespace that is said, in that of the Kustomization where none
/// is, and in none, as a kind may have none.
fn wanted(grown: &[Grown]) -> HashSet<Called<'_>> {
    let mut wanted = HashSet::new();
    for grown in grown {
        for id in grown.objects().iter().map(|object| &object.id) {
            let namespace = match id.namespace.as_str() {
                "" => &grown.name.namespace,
                namespace => namespace,
            };
            wanted.extend([called(id, namespace), called(id, "")]);
        }
    }
    wanted
}

/// Whether secrets can come into what a Kustomization applies. What Git holds in the clear is none.
fn takes_secrets(spec: &KustomizationSpec) -> bool {
    let mut sources = spec.post_build.iter().flat_map(|it| &it.substitute_from);
    spec.decryption.is_some() || sources.next().is_some()
}

/// The files of a commit.
type Files = Option<Arc<(Box<dyn Tree>, Shared)>>;

struct Past<'a> {
    ground: &'a Ground<'a>,
    store: &'a Store<'a>,
    settings: Settings,
    commits: BTreeMap<String, Files>,
    once_secret: OnceSecret,
    names: SecretNames,
    untold: BTreeMap<LeafName, String>,
}

impl Past<'_> {
    async fn add(&mut self, name: &LeafName, object: &Kustomization) -> Result<(), Failure> {
        let inventory = run::applied(object)?.objects;
        let inline = self.secret_variables(name, &object.spec);
        if inventory.is_empty() || !takes_secrets(&object.spec) && inline.is_empty() {
            return Ok(());
        }
        match self.objects(name, object).await? {
            Ok(objects) => {
                for object in objects {
                    self.note(&inventory, object);
                }
            }
            Err(why) => {
                inventory.iter().for_each(|id| self.hide(id));
                self.untold.insert(name.clone(), why);
            }
        }
        Ok(())
    }

    /// Nobody can tell what of an object is secret.
    fn hide(&mut self, id: &ObjectId) {
        self.once_secret.whole.insert(ObjectKey::from(id));
        if id.group.is_empty() && id.kind == CONFIG_MAP {
            self.names.hide(&id.name);
        }
    }

    /// What an object of then says of the one that is there.
    fn note(&mut self, inventory: &[ObjectId], mut object: Object) {
        let marker = &self.settings.marker;
        let is_unread = !take_unread_patches(&mut object.node, marker).is_empty();
        let is_named = secret_stem(&object, marker).is_some();
        conceal(&mut object.node, marker);
        let living = inventory.iter().filter(|id| is_it(id, &object));
        for id in living {
            match is_unread {
                true => drop(self.once_secret.whole.insert(ObjectKey::from(id))),
                false => self.once_secret.add(id, &object),
            }
            if is_named {
                self.names.hide(&id.name);
            }
        }
    }

    /// The objects of all that was applied, or begun; or why they cannot be told.
    async fn objects(
        &mut self,
        name: &LeafName,
        object: &Kustomization,
    ) -> Result<Result<Vec<Object>, String>, Failure> {
        if object.spec.source_ref.kind != GIT_REPOSITORY {
            return Ok(Err("its source is no Git repository".to_owned()));
        }
        let mut objects = Vec::new();
        let revisions = revisions(object);
        if revisions.is_empty() {
            return Ok(Err("it does not say what it has applied".to_owned()));
        }
        for revision in revisions {
            let Some(files) = commit_of(&revision).and_then(|commit| self.files(commit)) else {
                return Ok(Err(format!(
                    "{revision}, which it has applied, is not in this clone"
                )));
            };
            match self.built(&files, name, &object.spec).await? {
                Ok(built) => objects.extend(built),
                Err(why) => return Ok(Err(format!("{revision} does not build here: {why}"))),
            }
        }
        let closed = objects.iter().find(|object| is_stand_in(&object.id));
        Ok(match closed {
            Some(object) => Err(format!("{} cannot be opened", object.origin.place.file)),
            None => Ok(objects),
        })
    }

    fn files(&mut self, commit: &str) -> Files {
        let open = || {
            Some(Arc::new((
                (self.ground.at_commit)(commit)?,
                Shared::new(SHARED),
            )))
        };
        let files = self.commits.entry(commit.to_owned()).or_insert_with(open);
        files.clone()
    }

    /// With its keys, as it was; where that cannot be, what is encrypted is not known.
    async fn built(
        &self,
        files: &(Box<dyn Tree>, Shared),
        name: &LeafName,
        spec: &KustomizationSpec,
    ) -> Result<Result<Vec<Object>, String>, Failure> {
        let (tree, shared) = (files.0.as_ref(), Some(&files.1));
        let (spec, lent) = self.lent(name, spec).await?;
        let secrets = self.secret_variables(name, &spec);
        let put_in = |lent| {
            let variables = variables(&spec, &name.namespace, &[], &self.settings, lent);
            with_secrets(variables, &secrets)
        };
        let opened = match &spec.decryption {
            Some(decryption) => self.store.keys(decryption, &name.namespace).await,
            None => None,
        };
        if opened.is_some() || spec.decryption.is_none() {
            let (keys, decrypting) = match opened {
                Some((keys, decrypting)) => (Some(keys), decrypting),
                None => (None, Default::default()),
            };
            let inputs = Inputs {
                variables: put_in(Some(&lent)),
                lenient: true,
                keys,
                answers: Answers::default(),
                decrypting,
            };
            let build = |inputs| ready(Ok(render::attempt(&spec, tree, shared, inputs)));
            if let Ok(rendered) = settle(inputs, build).await {
                return Ok(Ok(rendered.objects));
            }
        }
        let build = |lent| {
            let variables = put_in(lent);
            match without_keys(tree, &self.settings, &spec, variables.as_ref()) {
                Outcome::Built(built) => Ok(built.objects),
                Outcome::Failed(why) | Outcome::External(why) => Err(why),
            }
        };
        // A variable that nobody sets is no mistake of then.
        Ok(build(Some(&lent)).or_else(|_| build(None)))
    }

    /// The variables that whoever brought a Kustomization had out of secrets.
    fn secret_variables(&self, name: &LeafName, spec: &KustomizationSpec) -> Vec<(String, Secret)> {
        let key = ObjectKey {
            group: GROUP.into(),
            kind: "Kustomization".into(),
            namespace: name.namespace.as_str().into(),
            name: name.name.as_str().into(),
        };
        let OnceSecret { whole, leaves } = &self.once_secret;
        let is_secret = |variable: &str| {
            let leaf = format!("spec.postBuild.substitute.{variable}");
            whole.contains(&key) || leaves.get(&key).is_some_and(|all| all.contains(&leaf))
        };
        let inline = spec.post_build.iter().flat_map(|it| &it.substitute);
        let inline = inline.flatten().filter(|(name, _)| is_secret(name));
        let secret = |text: &String| Secret::new(text.clone(), Tag::Str, Style::Plain);
        inline
            .map(|(name, value)| (name.clone(), secret(value)))
            .collect()
    }

    /// What the cluster lends to variables. Values of a ConfigMap that secrets were put into are not known.
    async fn lent(
        &self,
        name: &LeafName,
        spec: &KustomizationSpec,
    ) -> Result<(KustomizationSpec, Lent), Failure> {
        let mut lent = self.store.lent(spec, &name.namespace).await?;
        let mut spec = spec.clone();
        let sources = spec.post_build.iter_mut();
        for reference in sources.flat_map(|it| &mut it.substitute_from) {
            let key = ObjectKey {
                group: "".into(),
                kind: reference.kind.as_str().into(),
                namespace: name.namespace.as_str().into(),
                name: reference.name.as_str().into(),
            };
            let OnceSecret { whole, leaves } = &self.once_secret;
            if reference.kind == CONFIG_MAP && (whole.contains(&key) || leaves.contains_key(&key)) {
                lent.remove(&(reference.kind.clone(), reference.name.clone()));
                reference.optional = false;
            }
        }
        Ok((spec, lent))
    }
}

/// Whether an entry of an inventory is what an object became. Its namespace may have come from elsewhere, or its kind has
/// none; the end of its name may not be known.
fn is_it(id: &ObjectId, object: &Object) -> bool {
    let other = &object.id;
    let is_kind = (&id.group, &id.kind) == (&other.group, &other.kind);
    let is_namespace =
        id.namespace == other.namespace || id.namespace.is_empty() || other.namespace.is_empty();
    let is_name =
        id.name == other.name || stem(object).is_some_and(|stem| is_of_stem(stem, &id.name));
    is_kind && is_namespace && is_name
}

/// What was applied, and what was begun since; what did not build was not.
fn revisions(object: &Kustomization) -> BTreeSet<String> {
    let Some(status) = &object.status else {
        return BTreeSet::new();
    };
    let built = |it: &Condition| it.type_ != READY || it.reason != reason::BUILD_FAILED;
    let begun = status.last_attempted_revision.iter();
    let begun = begun.filter(|_| status.conditions.iter().all(built));
    let applied = status.last_applied_revision.iter();
    applied.chain(begun).cloned().collect()
}

/// `main@sha1:0a1b…` names a commit.
fn commit_of(revision: &str) -> Option<&str> {
    let (_, commit) = revision.rsplit_once([':', '/'])?;
    let is_id = commit.len() >= 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then_some(commit)
}
