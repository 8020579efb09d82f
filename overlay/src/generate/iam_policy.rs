//! `IAMPolicyGenerator`: a ServiceAccount bound to one of Google's cloud.

use crate::decode::{Rules, Text, decode, fields};
use crate::error::{Error, Errors};
use crate::load::Session;
use crate::object::Origin;
use crate::resource::Resource;
use crate::yaml::{Mark, Node};

/// An `IAMPolicyGenerator` object.
#[derive(Clone, Debug, Default)]
struct Configured {
    mark: Mark,
    cloud: Text,
    kubernetes: Account,
    service_account: Account,
}

fields!(Configured {
    "cloud" => cloud,
    "kubernetesService" => kubernetes,
    "serviceAccount" => service_account,
});

/// An account on either side.
#[derive(Clone, Debug, Default)]
struct Account {
    mark: Mark,
    name: Text,
    namespace: Text,
    project: Text,
}

fields!(Account { "name" => name, "namespace" => namespace, "projectId" => project });

/// Makes the ServiceAccount.
pub(super) fn generate(node: &Node, session: &Session<'_>) -> Result<Resource, Errors> {
    let configured: Configured = decode(node, Rules::Object)?;
    if &*configured.cloud != "gke" {
        return Err(Error::new(format!(
            "the cloud `{}` is not supported",
            &*configured.cloud
        ))
        .at_mark(configured.cloud.mark)
        .into());
    }
    let Account { name, project, .. } = &configured.service_account;
    let email = format!("{}@{}.iam.gserviceaccount.com", &**name, &**project);
    let origin = Origin {
        place: session.files.place(configured.mark),
        generator: Some("IAMPolicyGenerator".into()),
    };
    Ok(Resource::new(
        account(&configured.kubernetes, email),
        origin,
    ))
}

fn account(account: &Account, email: String) -> Node {
    let mut annotations = crate::yaml::Mapping::default();
    annotations.insert("iam.gke.io/gcp-service-account", Node::string(email));
    let mut metadata = crate::yaml::Mapping::default();
    metadata.insert("annotations", annotations.into());
    metadata.insert("name", account.name.node());
    if !account.namespace.is_empty() {
        metadata.insert("namespace", account.namespace.node());
    }
    let mut object = crate::yaml::Mapping::default();
    object.insert("apiVersion", Node::string("v1"));
    object.insert("kind", Node::string("ServiceAccount"));
    object.insert("metadata", metadata.into());
    Node::from(object).at(account.mark)
}
