//! Fields of the spec that this version does not carry out. One that is set is refused by name, never ignored.

use crate::api::kustomization::{KustomizationSpec, reason};
use crate::report::failure::{Again, Failure};

/// A field, and whether a spec sets it.
struct Unsupported {
    field: &'static str,
    is_set: fn(&KustomizationSpec) -> bool,
}

/// All fields that are not carried out.
const UNSUPPORTED: &[Unsupported] = &[
    Unsupported {
        field: "kubeConfig",
        is_set: |spec| spec.kube_config.is_some(),
    },
    Unsupported {
        field: "healthCheckExprs",
        is_set: |spec| !spec.health_check_exprs.is_empty(),
    },
    Unsupported {
        field: "ignore",
        is_set: |spec| !spec.ignore.is_empty(),
    },
    Unsupported {
        field: "dependsOn[].readyExpr",
        is_set: |spec| {
            spec.depends_on
                .iter()
                .any(|dependency| dependency.ready_expr.is_some())
        },
    },
    Unsupported {
        field: "decryption.serviceAccountName",
        is_set: |spec| {
            let decryption = spec.decryption.as_ref();
            decryption.is_some_and(|decryption| decryption.service_account_name.is_some())
        },
    },
];

/// Refuses a spec that asks for what this version does not do.
pub fn check(spec: &KustomizationSpec) -> Result<(), Failure> {
    let set = UNSUPPORTED
        .iter()
        .filter(|unsupported| (unsupported.is_set)(spec));
    let fields: Vec<String> = set
        .map(|unsupported| format!("spec.{}", unsupported.field))
        .collect();
    if fields.is_empty() {
        return Ok(());
    }
    let message = format!(
        "this version of Weir does not carry out {}",
        fields.join(", ")
    );
    Err(Failure::new(reason::FEATURE_GATE_DISABLED, message).again(Again::Never))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::kustomization::IgnoreRule;

    #[test]
    fn fields_that_are_set_are_named() {
        assert_eq!(check(&KustomizationSpec::default()), Ok(()));
        let mut spec = KustomizationSpec::default();
        spec.ignore.push(IgnoreRule::default());
        spec.kube_config = Some(Default::default());
        let failure = check(&spec).expect_err("two fields are set");
        assert_eq!(
            failure.message,
            "this version of Weir does not carry out spec.kubeConfig, spec.ignore"
        );
        assert_eq!(failure.again, Again::Never);
    }
}
