//! The story: deploy, change, promote, drift, prune, break, mend.

use std::time::Instant;

use kube::core::DynamicObject;
use kube::discovery::ApiResource;
use serde_json::json;
use weir_tests::objects::{kind, kustomization_kind};
use weir_tests::{GitServer, Repository};

use super::cluster::{Cluster, Told, is_ready, message, root};
use super::narrator::Narrator;

/// Stands in the example for the address of the Git server.
const PLACEHOLDER: &str = "http://git.example.com";

/// Publishes the example and the tenant's repository on the server; the working repository of the fleet.
pub(crate) fn publish_example(server: &GitServer) -> Repository {
    let tenant = server.create_repository("team-a");
    tenant.copy(&root().join("examples/tenant-repository"), "");
    tenant.publish("The tenant's dashboard");

    let fleet = server.create_repository("fleet");
    fleet.copy(&root().join("examples/flux-structure"), "");
    let fleet_url = server.url("fleet");
    let address = fleet_url.trim_end_matches("/fleet.git");
    for path in fleet
        .git(&["grep", "--untracked", "-l", PLACEHOLDER, "--", "clusters"])
        .lines()
    {
        let text = std::fs::read_to_string(fleet.path().join(path)).expect("read the example");
        fleet.write(path, text.replace(PLACEHOLDER, address));
    }
    fleet.publish("The fleet");
    fleet
}

/// Tells the story from the first deploy on.
pub(crate) async fn tell(narrator: &Narrator, cluster: &Cluster, fleet: &Repository) -> Told {
    first_deploy(narrator, cluster, fleet).await?;
    change(narrator, cluster, fleet).await?;
    promotion(narrator, cluster, fleet).await?;
    drift(narrator, cluster).await?;
    removal(narrator, cluster, fleet).await?;
    mistake(narrator, cluster, fleet).await
}

async fn first_deploy(narrator: &Narrator, cluster: &Cluster, fleet: &Repository) -> Told {
    narrator.chapter("First deploy: the cluster is told to follow clusters/prod/eu");
    let begun = Instant::now();
    let tree = overlay_of(fleet, "clusters/prod/eu/flux-system")?;
    for object in tree {
        cluster.apply(object).await?;
    }
    let apps = cluster
        .until(&kustomization_kind(), "flux-system", "apps", begun, ready)
        .await?;
    narrator.took(
        "the applications of envs/prod-eu are Ready, after the platform that they depend on",
        apps,
    );
    let names = cluster.all_ready(8).await?;
    narrator.took(
        &format!(
            "{} Kustomizations are Ready: {}",
            names.len(),
            names.join(", ")
        ),
        begun.elapsed(),
    );
    Ok(())
}

async fn change(narrator: &Narrator, cluster: &Cluster, fleet: &Repository) -> Told {
    narrator.chapter("A commit to envs/prod-eu: four replicas of the shop");
    edit(
        fleet,
        "envs/prod-eu/kustomization.yaml",
        "count: 3",
        "count: 4",
    )?;
    publish(narrator, fleet, "prod-eu: four replicas of the shop");
    let pushed = Instant::now();
    cluster.request_fetch().await?;
    let time = cluster
        .until(&deployments(), "apps", "shop", pushed, |object| {
            replicas(object) == Some(4)
        })
        .await?;
    narrator.took("Deployment apps/shop has 4 replicas", time);
    Ok(())
}

async fn promotion(narrator: &Narrator, cluster: &Cluster, fleet: &Repository) -> Told {
    narrator.chapter("A promotion: what staging runs is copied to prod");
    for file in ["deployment.yaml", "app-config.yaml", "helm.yaml"] {
        let source = format!("stages/staging/shop/{file}");
        let text = std::fs::read(fleet.path().join(&source))
            .map_err(|error| format!("{source}: {error}"))?;
        fleet.write(&format!("stages/prod/shop/{file}"), text);
    }
    narrator.act("cp stages/staging/shop/{deployment,app-config,helm}.yaml stages/prod/shop/");
    publish(narrator, fleet, "Promote shop 2.4.0 to prod");
    let pushed = Instant::now();
    cluster.request_fetch().await?;
    let promoted = |object: Option<&DynamicObject>| {
        image(object).is_some_and(|image| image.ends_with(":2.4.0"))
    };
    let time = cluster
        .until(&deployments(), "apps", "shop", pushed, promoted)
        .await?;
    narrator.took("Deployment apps/shop runs 2.4.0", time);
    Ok(())
}

async fn drift(narrator: &Narrator, cluster: &Cluster) -> Told {
    narrator.chapter("Somebody edits the cluster by hand");
    narrator.act("kubectl edit deployment shop -n apps     # replicas: 1");
    // Whatever the promotion still does must be over, or it would put the edit right by accident.
    cluster
        .until(
            &kustomization_kind(),
            "flux-system",
            "apps",
            Instant::now(),
            ready,
        )
        .await?;
    let edited = Instant::now();
    cluster
        .edit(
            &deployments(),
            "apps",
            "shop",
            json!({"spec": {"replicas": 1}}),
        )
        .await?;
    let time = cluster
        .until(&deployments(), "apps", "shop", edited, |object| {
            replicas(object) == Some(4)
        })
        .await?;
    narrator.took(
        "put right: 4 replicas again, without waiting for an interval",
        time,
    );
    Ok(())
}

async fn removal(narrator: &Narrator, cluster: &Cluster, fleet: &Repository) -> Told {
    narrator.chapter("A file is removed from Git");
    edit(
        fleet,
        "envs/prod-eu/kustomization.yaml",
        "  - ingress.yaml\n",
        "",
    )?;
    fleet.remove("envs/prod-eu/ingress.yaml");
    narrator.act("git rm envs/prod-eu/ingress.yaml");
    publish(narrator, fleet, "prod-eu: the shop is internal now");
    let pushed = Instant::now();
    cluster.request_fetch().await?;
    let ingresses = kind("networking.k8s.io", "v1", "Ingress");
    let time = cluster
        .until(&ingresses, "apps", "shop", pushed, |object| {
            object.is_none()
        })
        .await?;
    narrator.took("Ingress apps/shop is pruned", time);
    Ok(())
}

async fn mistake(narrator: &Narrator, cluster: &Cluster, fleet: &Repository) -> Told {
    narrator.chapter("A broken commit");
    edit(
        fleet,
        "stages/prod/shop/deployment.yaml",
        "spec:\n  selector",
        "spec:\n   selector",
    )?;
    publish(narrator, fleet, "An edit in a hurry");
    let pushed = Instant::now();
    cluster.request_fetch().await?;
    let apps = kustomization_kind();
    let failed = |object: Option<&DynamicObject>| {
        object
            .is_some_and(|object| !is_ready(object) && message(object).contains("stages/prod/shop"))
    };
    let time = cluster
        .until(&apps, "flux-system", "apps", pushed, failed)
        .await?;
    narrator.took(
        "Kustomization flux-system/apps says what is wrong, and nothing was touched:",
        time,
    );
    let said = std::cell::RefCell::new(String::new());
    cluster
        .until(&apps, "flux-system", "apps", pushed, |object| {
            *said.borrow_mut() = object.map(message).unwrap_or_default();
            true
        })
        .await?;
    println!("            {}", said.borrow());
    cluster
        .until(&deployments(), "apps", "shop", Instant::now(), |object| {
            replicas(object) == Some(4)
        })
        .await?;

    narrator.chapter("It is mended");
    narrator.act("git revert HEAD");
    fleet.git(&["revert", "--no-edit", "HEAD"]);
    fleet.push();
    let mended = Instant::now();
    cluster.request_fetch().await?;
    let time = cluster
        .until(&apps, "flux-system", "apps", mended, ready)
        .await?;
    narrator.took("Kustomization flux-system/apps is Ready", time);
    Ok(())
}

fn publish(narrator: &Narrator, fleet: &Repository, subject: &str) {
    narrator.act(&format!("git commit -m '{subject}' && git push"));
    fleet.publish(subject);
}

/// Replaces text in a file of the working repository; refuses when it is not there.
fn edit(fleet: &Repository, path: &str, from: &str, to: &str) -> Told {
    let text = std::fs::read_to_string(fleet.path().join(path))
        .map_err(|error| format!("{path}: {error}"))?;
    if !text.contains(from) {
        return Err(format!("{path} does not hold {from:?}"));
    }
    fleet.write(path, text.replacen(from, to, 1));
    Ok(())
}

/// The objects of a folder, as `weir build` gives them.
fn overlay_of(fleet: &Repository, folder: &str) -> Told<Vec<serde_json::Value>> {
    let output = weir_tests::Weir::command()
        .args(["build", folder])
        .current_dir(fleet.path())
        .output()
        .map_err(|error| format!("run weir build: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let nodes =
        overlay::yaml::read_documents(&output.stdout, 0, overlay::yaml::Dialect::Kubernetes)
            .map_err(|error| error.to_string())?;
    Ok(nodes
        .iter()
        .map(|node| overlay::yaml::to_json(node, overlay::yaml::Secrets::Masked))
        .collect())
}

fn deployments() -> ApiResource {
    kind("apps", "v1", "Deployment")
}

fn ready(object: Option<&DynamicObject>) -> bool {
    object.is_some_and(is_ready)
}

fn replicas(object: Option<&DynamicObject>) -> Option<i64> {
    object?.data["spec"]["replicas"].as_i64()
}

fn image(object: Option<&DynamicObject>) -> Option<&str> {
    object?
        .data
        .pointer("/spec/template/spec/containers/0/image")?
        .as_str()
}
