//! Service: one of type LoadBalancer needs its cluster address; the balancer's own may come later.

use serde_json::Value;

use super::{Health, text};

pub(super) fn check(object: &Value) -> Health {
    let balanced = text(object, "/spec/type") == "LoadBalancer";
    if balanced && text(object, "/spec/clusterIP").is_empty() {
        return Health::in_progress("ClusterIP not set. Service type: LoadBalancer");
    }
    Health::current("Service is ready")
}
