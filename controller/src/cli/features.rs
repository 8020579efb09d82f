//! `--feature-gates`, with Flux's names: which of them can be set, and to what.

/// A gate of Flux's controllers.
struct Gate {
    name: &'static str,
    /// How Weir behaves without the flag.
    default: bool,
    /// What is said of the other value when Weir does not have it.
    refusal: Option<&'static str>,
}

const fn free(name: &'static str, default: bool) -> Gate {
    let refusal = None;
    Gate {
        name,
        default,
        refusal,
    }
}

const fn fixed(name: &'static str, default: bool, refusal: &'static str) -> Gate {
    let refusal = Some(refusal);
    Gate {
        name,
        default,
        refusal,
    }
}

/// Gates that change nothing that can be seen: what they switch on saves work that Weir does not do.
const NO_EFFECT: [&str; 6] = [
    "CacheSecretsAndConfigMaps",
    "DisableStatusPollerCache",
    "DirectSourceFetch",
    "GroupChangeLog",
    "MigrateAPIVersion",
    "OptimizedGitClones",
];

const GATES: [Gate; 7] = [
    free("AdditiveCELDependencyCheck", false),
    free("DisableFailFastBehavior", false),
    free("ObjectLevelWorkloadIdentity", false),
    free("StrictPostBuildSubstitutions", true),
    fixed(
        "CancelHealthCheckOnNewRevision",
        true,
        "a health check always ends when a new revision comes",
    ),
    fixed(
        "DisableConfigWatchers",
        false,
        "ConfigMaps and Secrets that a Kustomization reads are always watched",
    ),
    fixed(
        "ExternalArtifact",
        true,
        "sources of kind ExternalArtifact are always read",
    ),
];

/// What the gates say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Features {
    /// `readyExpr` adds to the built-in rule in place of replacing it.
    pub(super) additive_dependency_check: bool,
    /// A failed object ends a health check before its time is over.
    pub(super) fail_fast: bool,
    /// A spec may name a service account whose tokens stand for an identity of elsewhere.
    pub(super) workload_identity: bool,
    /// A variable without a value is an error.
    pub(super) strict_substitution: bool,
}

/// Reads `Name=true` and `Name=false`, the later over the earlier.
pub(super) fn read(settings: &[String]) -> Result<Features, String> {
    let mut values = GATES.map(|gate| (gate.name, gate.default));
    for setting in settings {
        let (name, value) = parse(setting)?;
        if NO_EFFECT.contains(&name) {
            continue;
        }
        let gate = GATES.iter().find(|gate| gate.name == name);
        let gate = gate.ok_or_else(|| format!("there is no feature gate {name:?}"))?;
        if let Some(refusal) = gate.refusal.filter(|_| value != gate.default) {
            return Err(format!("{name}={value} is not possible: {refusal}"));
        }
        for own in values.iter_mut().filter(|(own, _)| *own == name) {
            own.1 = value;
        }
    }
    let is_on = |name: &'static str| values.contains(&(name, true));
    Ok(Features {
        additive_dependency_check: is_on("AdditiveCELDependencyCheck"),
        fail_fast: !is_on("DisableFailFastBehavior"),
        workload_identity: is_on("ObjectLevelWorkloadIdentity"),
        strict_substitution: is_on("StrictPostBuildSubstitutions"),
    })
}

fn parse(setting: &str) -> Result<(&str, bool), String> {
    let parsed = setting.split_once('=');
    let parsed = parsed.and_then(|(name, value)| Some((name.trim(), value.trim().parse().ok()?)));
    parsed.ok_or_else(|| format!("write {setting:?} as Name=true or Name=false"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Features, String> {
        let settings: Vec<String> = text
            .split(',')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect();
        read(&settings)
    }

    #[test]
    fn gates_are_read_as_flux_reads_them() {
        let plain = Features {
            additive_dependency_check: false,
            fail_fast: true,
            workload_identity: false,
            strict_substitution: true,
        };
        assert_eq!(read_text(""), Ok(plain));
        assert_eq!(
            read_text("CacheSecretsAndConfigMaps=true,CancelHealthCheckOnNewRevision=true"),
            Ok(plain)
        );
        let other = Features {
            additive_dependency_check: true,
            fail_fast: false,
            workload_identity: true,
            strict_substitution: false,
        };
        let text = "AdditiveCELDependencyCheck=true,DisableFailFastBehavior=true,ObjectLevelWorkloadIdentity=true,StrictPostBuildSubstitutions=false";
        assert_eq!(read_text(text), Ok(other));
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (text, part) in [
            ("Nonsense=true", "there is no feature gate \"Nonsense\""),
            ("ExternalArtifact", "Name=true"),
            ("ExternalArtifact=yes", "Name=true"),
            ("ExternalArtifact=false", "always read"),
            ("CancelHealthCheckOnNewRevision=false", "always ends"),
        ] {
            let error = read_text(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
