//! PersistentVolumeClaim: bound.

use serde_json::Value;

use super::{Health, text};

pub(super) fn check(object: &Value) -> Health {
    match text(object, "/status/phase") {
        "Bound" => Health::current("PVC is Bound"),
        "" => Health::in_progress("PVC is not Bound. phase: unknown"),
        phase => Health::in_progress(format!("PVC is not Bound. phase: {phase}")),
    }
}
