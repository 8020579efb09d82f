//! Which resources an API server serves: from group, version and kind to the path that requests go to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use http::{HeaderValue, Method, header};
use overlay::ObjectId;
use serde_json::Value;

use super::client::Client;
use super::error::Error;
use super::published::Published;

/// All of a server's resources in two requests; older servers answer with a list of groups instead.
const AGGREGATED: HeaderValue = HeaderValue::from_static(
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json",
);

/// A kind as the API server serves it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    /// API group; empty for core.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Plural name, as in paths.
    pub plural: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

impl Resource {
    /// `group/version`, or `version` for core.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// The same for kube's typed calls and watches.
    pub fn api_resource(&self) -> kube::api::ApiResource {
        kube::api::ApiResource {
            group: self.group.clone(),
            version: self.version.clone(),
            api_version: self.api_version(),
            kind: self.kind.clone(),
            plural: self.plural.clone(),
        }
    }

    /// The path of all its objects, in one namespace or everywhere.
    pub fn collection_path(&self, namespace: &str) -> String {
        let root = if self.group.is_empty() {
            "/api"
        } else {
            "/apis"
        };
        let api_version = self.api_version();
        if self.namespaced && !namespace.is_empty() {
            format!(
                "{root}/{api_version}/namespaces/{namespace}/{}",
                self.plural
            )
        } else {
            format!("{root}/{api_version}/{}", self.plural)
        }
    }

    /// The path of one object.
    pub fn object_path(&self, id: &ObjectId) -> String {
        format!("{}/{}", self.collection_path(&id.namespace), id.name)
    }
}

/// Group, version, kind.
type Gvk = (String, String, String);
type Served = HashMap<Gvk, Resource>;
type Learning = Shared<BoxFuture<'static, Result<Arc<Served>, Arc<Error>>>>;

/// What one API server serves, learned when first asked for and again when something is missing.
#[derive(Default)]
pub struct Discovery {
    served: RwLock<Arc<Served>>,
    /// The request on its way, if any: those who miss something at the same time ask once.
    learning: Mutex<Option<Learning>>,
    published: Published,
}

impl Discovery {
    /// The resource of an object, as far as it is known.
    pub fn get(&self, id: &ObjectId) -> Option<Resource> {
        self.served().get(&gvk(id)).cloned()
    }

    /// What the server publishes of its kinds, as far as anybody asked.
    pub(super) fn published(&self) -> &Published {
        &self.published
    }

    /// Asks the server, once and in the client's name, if a kind of these objects is not known.
    pub async fn learn_missing(&self, client: &Client, ids: &[&ObjectId]) -> Result<(), Error> {
        let served = self.served();
        if ids.iter().all(|id| served.contains_key(&gvk(id))) {
            return Ok(());
        }
        self.learn(client).await
    }

    /// Asks the server what it serves.
    pub async fn learn(&self, client: &Client) -> Result<(), Error> {
        let learning = {
            let mut slot = self.learning.lock().unwrap_or_else(PoisonError::into_inner);
            slot.get_or_insert_with(|| learning(client.clone())).clone()
        };
        let result = learning.clone().await;
        let mut slot = self.learning.lock().unwrap_or_else(PoisonError::into_inner);
        if slot
            .as_ref()
            .is_some_and(|current| current.ptr_eq(&learning))
        {
            *slot = None;
        }
        drop(slot);
        match result {
            Ok(served) => self.replace(served),
            Err(error) => return Err(Error::Discovery(error)),
        }
        Ok(())
    }

    /// Adds what a custom resource definition defines, without asking: it is known before it is served.
    pub fn add(&self, resources: Vec<Resource>) {
        let mut slot = self.served.write().unwrap_or_else(PoisonError::into_inner);
        let served = Arc::make_mut(&mut slot);
        for resource in resources {
            served.insert(resource_gvk(&resource), resource);
        }
    }

    /// Forgets the kind of an object that the server does not find, so that it is asked for anew.
    pub fn forget(&self, id: &ObjectId) {
        let mut slot = self.served.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut slot).remove(&gvk(id));
    }

    fn served(&self) -> Arc<Served> {
        self.served
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn replace(&self, served: Arc<Served>) {
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = served;
    }
}

fn gvk(id: &ObjectId) -> Gvk {
    (id.group.clone(), id.version.clone(), id.kind.clone())
}

fn resource_gvk(resource: &Resource) -> Gvk {
    (
        resource.group.clone(),
        resource.version.clone(),
        resource.kind.clone(),
    )
}

fn learning(client: Client) -> Learning {
    async move { ask(&client).await.map(Arc::new).map_err(Arc::new) }
        .boxed()
        .shared()
}

async fn ask(client: &Client) -> Result<Served, Error> {
    let mut served = Served::new();
    let (core, groups) = futures::try_join!(document(client, "/api"), document(client, "/apis"))?;
    for document in [core, groups] {
        let resources = match document["kind"].as_str() {
            Some("APIGroupDiscoveryList") => aggregated(&document),
            _ => one_by_one(client, &document).await?,
        };
        served.extend(
            resources
                .into_iter()
                .map(|resource| (resource_gvk(&resource), resource)),
        );
    }
    Ok(served)
}

async fn document(client: &Client, path: &str) -> Result<Value, Error> {
    let accept = [(header::ACCEPT, AGGREGATED)];
    let answer = client
        .send(Method::GET, path.to_owned(), &accept, Vec::new())
        .await?;
    serde_json::from_slice(answer.body()).map_err(|source| Error::Unreadable {
        request: path.to_owned(),
        source,
    })
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn aggregated(document: &Value) -> Vec<Resource> {
    let mut resources = Vec::new();
    for group in list(document, "items") {
        let name = text(&group["metadata"], "name");
        for version in list(group, "versions") {
            let found = list(version, "resources").filter_map(|resource| {
                let kind = text(&resource["responseKind"], "kind");
                (!kind.is_empty()).then(|| Resource {
                    group: name.to_owned(),
                    version: text(version, "version").to_owned(),
                    kind: kind.to_owned(),
                    plural: text(resource, "resource").to_owned(),
                    namespaced: text(resource, "scope") == "Namespaced",
                })
            });
            resources.extend(found);
        }
    }
    resources
}

/// The way of servers before 1.26: one request for each group and version. A group whose own server is down is
/// left out, so that it hinders nobody else.
async fn one_by_one(client: &Client, document: &Value) -> Result<Vec<Resource>, Error> {
    let mut paths: Vec<(String, String)> = list(document, "versions")
        .filter_map(Value::as_str)
        .map(|version| (format!("/api/{version}"), version.to_owned()))
        .collect();
    for group in list(document, "groups") {
        let versions = list(group, "versions").map(|version| text(version, "groupVersion"));
        paths.extend(versions.map(|version| (format!("/apis/{version}"), version.to_owned())));
    }
    let mut resources = Vec::new();
    for (path, group_version) in paths {
        match client.get(&path).await {
            Ok(document) => resources.extend(of_version(&document, &group_version)),
            Err(error) if error.refusal().is_some() => {
                tracing::warn!(%path, %error, "this API is not available");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(resources)
}

fn of_version(document: &Value, group_version: &str) -> Vec<Resource> {
    let (group, version) = group_version.split_once('/').unwrap_or(("", group_version));
    let resource = |resource: &Value| Resource {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: text(resource, "kind").to_owned(),
        plural: text(resource, "name").to_owned(),
        namespaced: resource["namespaced"] == true,
    };
    let is_whole = |resource: &&Value| !text(resource, "name").contains('/');
    list(document, "resources")
        .filter(is_whole)
        .map(resource)
        .collect()
}

/// What a custom resource definition defines.
pub fn defined_by(definition: &overlay::yaml::Node) -> Vec<Resource> {
    let text = |path: &[&str]| definition.find_str(path).unwrap_or_default().to_owned();
    let versions = definition
        .find(&["spec", "versions"])
        .and_then(|list| list.as_sequence());
    let served = versions
        .unwrap_or_default()
        .iter()
        .filter(|version| version.find_str(&["served"]) != Some("false"));
    served
        .map(|version| Resource {
            group: text(&["spec", "group"]),
            version: version.find_str(&["name"]).unwrap_or_default().to_owned(),
            kind: text(&["spec", "names", "kind"]),
            plural: text(&["spec", "names", "plural"]),
            namespaced: text(&["spec", "scope"]) == "Namespaced",
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use overlay::yaml::{Dialect, read_documents};
    use serde_json::json;

    fn deployments() -> Resource {
        Resource {
            group: "apps".into(),
            version: "v1".into(),
            kind: "Deployment".into(),
            plural: "deployments".into(),
            namespaced: true,
        }
    }

    #[test]
    fn both_kinds_of_document_say_the_same() {
        let new = json!({"kind": "APIGroupDiscoveryList", "items": [{"metadata": {"name": "apps"}, "versions": [
            {"version": "v1", "resources": [{"resource": "deployments", "scope": "Namespaced",
                "responseKind": {"group": "", "version": "", "kind": "Deployment"}}]}]}]});
        let old = json!({"kind": "APIResourceList", "resources": [
            {"name": "deployments", "kind": "Deployment", "namespaced": true},
            {"name": "deployments/scale", "kind": "Scale", "namespaced": true}]});
        assert_eq!(aggregated(&new), [deployments()]);
        assert_eq!(of_version(&old, "apps/v1"), [deployments()]);
    }

    #[test]
    fn definitions_define_what_they_serve() {
        let yaml = "spec:\n  group: example.org\n  names: {kind: Thing, plural: things}\n  scope: Cluster\n  \
                    versions: [{name: v1, served: true}, {name: v1alpha1, served: false}]\n";
        let node = read_documents(yaml.as_bytes(), 0, Dialect::Kustomize)
            .expect("valid")
            .remove(0);
        let defined = defined_by(&node);
        assert_eq!(defined.len(), 1);
        assert_eq!(
            defined[0].collection_path("ignored"),
            "/apis/example.org/v1/things"
        );
    }

    #[test]
    fn paths() {
        let id = ObjectId {
            namespace: "shop".into(),
            name: "api".into(),
            ..ObjectId::default()
        };
        let path = "/apis/apps/v1/namespaces/shop/deployments/api";
        assert_eq!(deployments().object_path(&id), path);
        let core = Resource {
            group: String::new(),
            plural: "pods".into(),
            ..deployments()
        };
        assert_eq!(core.collection_path(""), "/api/v1/pods");
    }
}
