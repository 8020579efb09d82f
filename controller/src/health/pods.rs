//! Why the pods of a workload are not as they should be, in words that stay the same for as long as the cause does.

use serde_json::Value;

use super::text;

/// Reasons for which a container waits on its way up.
const ON_THE_WAY: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// Reasons whose message tells how long is waited, another time at each try.
const WITH_DURATION: [&str; 1] = ["CrashLoopBackOff"];

/// What selects the pods that a workload makes, as the API takes it; none for what makes none.
pub fn selector(workload: &Value) -> Option<String> {
    workload.pointer("/spec/template/spec/containers")?;
    let labels = workload
        .pointer("/spec/selector/matchLabels")?
        .as_object()?;
    let terms = labels
        .iter()
        .map(|(key, value)| Some(format!("{key}={}", value.as_str()?)));
    let terms: Option<Vec<String>> = terms.collect();
    terms
        .map(|terms| terms.join(","))
        .filter(|terms| !terms.is_empty())
}

/// What a container says that does not run, or why no node takes a pod. Of several troubles always the same one.
pub fn trouble(pods: &[Value]) -> Option<String> {
    let of_containers = pods.iter().flat_map(containers).filter_map(of_container);
    let of_containers = of_containers.min();
    of_containers.or_else(|| pods.iter().filter_map(of_placement).min())
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["initContainerStatuses", "containerStatuses"]
        .iter()
        .filter_map(|kind| pod["status"][kind].as_array())
        .flatten()
}

fn of_container(container: &Value) -> Option<String> {
    let name = text(container, "/name");
    let waiting = text(container, "/state/waiting/reason");
    if !waiting.is_empty() && !ON_THE_WAY.contains(&waiting) {
        let message = text(container, "/state/waiting/message");
        let message =
            Some(message).filter(|text| !text.is_empty() && !WITH_DURATION.contains(&waiting));
        let end = container.pointer("/lastState/terminated").map(ending);
        let notes = message.map(str::to_owned).or(end);
        let notes = notes.map(|notes| format!(", {notes}")).unwrap_or_default();
        return Some(format!("container {name}: {waiting}{notes}"));
    }
    let ended = container.pointer("/state/terminated")?;
    let has_failed = ended["exitCode"].as_i64().is_some_and(|code| code != 0);
    has_failed.then(|| format!("container {name}: {}", ending(ended)))
}

fn ending(terminated: &Value) -> String {
    let reason = text(terminated, "/reason");
    let code = terminated["exitCode"].as_i64().unwrap_or_default();
    format!("{reason} (exit code {code})")
}

fn of_placement(pod: &Value) -> Option<String> {
    let conditions = pod["status"]["conditions"].as_array()?;
    let is_refused =
        |condition: &&Value| condition["type"] == "PodScheduled" && condition["status"] == "False";
    let refused = conditions.iter().find(is_refused)?;
    let (reason, message) = (text(refused, "/reason"), text(refused, "/message"));
    Some(format!("{reason}: {message}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(container: Value) -> Value {
        json!({ "status": { "containerStatuses": [container] } })
    }

    #[test]
    fn the_reason_is_the_containers() {
        for (container, expected) in [
            (
                json!({
                    "name": "app",
                    "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting" } },
                    "lastState": { "terminated": { "exitCode": 1, "reason": "Error" } },
                }),
                Some("container app: CrashLoopBackOff, Error (exit code 1)"),
            ),
            (
                json!({
                    "name": "app",
                    "state": { "waiting": { "reason": "ImagePullBackOff", "message": "Back-off pulling image \"a:1\"" } },
                }),
                Some("container app: ImagePullBackOff, Back-off pulling image \"a:1\""),
            ),
            (
                json!({ "name": "app", "state": { "terminated": { "exitCode": 137, "reason": "OOMKilled" } } }),
                Some("container app: OOMKilled (exit code 137)"),
            ),
            (
                json!({ "name": "app", "state": { "waiting": { "reason": "ContainerCreating" } } }),
                None,
            ),
            (
                json!({ "name": "app", "state": { "terminated": { "exitCode": 0, "reason": "Completed" } } }),
                None,
            ),
            (json!({ "name": "app", "state": { "running": {} } }), None),
        ] {
            let trouble = trouble(&[pod(container.clone())]);
            assert_eq!(trouble.as_deref(), expected, "{container}");
        }
    }

    #[test]
    fn a_container_that_fails_says_more_than_a_pod_without_a_node() {
        let waiting = json!({ "status": { "conditions": [
            { "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available" },
        ] } });
        let alone = trouble(std::slice::from_ref(&waiting));
        assert_eq!(
            alone.as_deref(),
            Some("Unschedulable: 0/1 nodes are available")
        );
        let ended =
            json!({ "name": "b", "state": { "terminated": { "exitCode": 2, "reason": "Error" } } });
        let both = trouble(&[waiting, pod(ended)]);
        assert_eq!(both.as_deref(), Some("container b: Error (exit code 2)"));
    }

    #[test]
    fn only_what_makes_pods_has_a_selector() {
        let web = json!({ "spec": {
            "selector": { "matchLabels": { "app": "web", "tier": "front" } },
            "template": { "spec": { "containers": [] } },
        } });
        assert_eq!(selector(&web).as_deref(), Some("app=web,tier=front"));
        let service = json!({ "spec": { "selector": { "app": "web" } } });
        assert_eq!(selector(&service), None);
    }
}
