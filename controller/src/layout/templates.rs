//! What the files of a new repository say, with names in angle brackets to be filled in.

/// A path and a text.
pub(super) type Template = (&'static str, &'static str);

/// What is promoted how.
pub(super) const POLICY: Template = (
    "weir.yaml",
    "\
# What promotions carry, and what `weir lint` does not tell.
promote:
  never: [env-config.yaml, namespace.yaml]
lint:
  ignore: []
",
);

/// For whom secrets are encrypted.
pub(super) const RULES: Template = (
    ".sops.yaml",
    "\
creation_rules:
  - path_regex: secrets\\.yaml(\\.encrypted)?$
    encrypted_regex: ^(data|stringData)$
    age: <RECIPIENT>
",
);

/// The layer that is promoted.
pub(super) const STAGE: [Template; 2] = [
    (
        "stages/<STAGE>/kustomization.yaml",
        "\
# What all environments of this stage run. `weir promote` carries it from stage to stage.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - app-config.yaml
",
    ),
    (
        "stages/<STAGE>/app-config.yaml",
        "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: app-config
data:
  greeting: hello
",
    ),
];

/// What one environment has of its own.
pub(super) const ENVIRONMENT: [Template; 3] = [
    (
        "envs/<ENVIRONMENT>/kustomization.yaml",
        "\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: apps
resources:
  - namespace.yaml
  - ../../stages/<STAGE>
  - env-config.yaml
",
    ),
    (
        "envs/<ENVIRONMENT>/env-config.yaml",
        "\
# What only this environment has; it never travels.
apiVersion: v1
kind: ConfigMap
metadata:
  name: env-config
data:
  environment: <ENVIRONMENT>
",
    ),
    (
        "envs/<ENVIRONMENT>/namespace.yaml",
        "\
apiVersion: v1
kind: Namespace
metadata:
  name: apps
",
    ),
];

/// One cluster: its platform, its facts, and the environment that it runs.
pub(super) const CLUSTER: [Template; 3] = [
    (
        "clusters/<ENVIRONMENT>/apps.yaml",
        "\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: apps
  namespace: flux-system
spec:
  interval: 10m
  retryInterval: 1m
  path: ./<PATH>
  prune: true
  sourceRef:
    kind: GitRepository
    name: flux-system
<DECRYPTION>  postBuild:
    substituteFrom:
      - kind: ConfigMap
        name: cluster-config
",
    ),
    (
        "clusters/<ENVIRONMENT>/platform/kustomization.yaml",
        "\
# What this cluster offers: a profile, and the facts that shared bases take variables from.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: flux-system
components:
  - <UP>_profiles/_base
resources:
  - cluster-config.yaml
",
    ),
    (
        "clusters/<ENVIRONMENT>/platform/cluster-config.yaml",
        "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: cluster-config
data:
  cluster_name: <ENVIRONMENT>
",
    ),
];

/// What a Kustomization says to open secrets with the cluster's key.
pub(super) const DECRYPTION: &str = "  decryption:
    provider: sops
    secretRef:
      name: sops-age
";

/// What the clusters share.
pub(super) const PLATFORM: [Template; 3] = [
    (
        "clusters/_profiles/_base/kustomization.yaml",
        "\
# What every cluster gets: list the Kustomizations of platform services here, one file a service.
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
resources: []
",
    ),
    (
        "platform/_components/namespace/kustomization.yaml",
        "\
# Brings the namespace of a platform service: add it to the components of the service's own folder.
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
resources:
  - namespace.yaml
",
    ),
    (
        "platform/_components/namespace/namespace.yaml",
        "\
apiVersion: v1
kind: Namespace
metadata:
  name: ${namespace_name}
",
    ),
];
