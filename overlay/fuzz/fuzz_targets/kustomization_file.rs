//! Any kustomization file over a tree that has something for each of its fields.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_overlay_fuzz::build_twice;

const WORKLOAD: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: a, labels: {app: a}}
spec:
  replicas: 1
  selector: {matchLabels: {app: a}}
  template:
    metadata: {labels: {app: a}}
    spec:
      containers:
      - {name: c, image: 'nginx:1', envFrom: [{configMapRef: {name: m}}], env: [{name: V, value: $(V)}]}
---
apiVersion: v1
kind: Service
metadata: {name: a, namespace: n}
spec: {selector: {app: a}, ports: [{port: 80}]}
";

const PATCH: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
spec: {replicas: 2}
";

const COMPONENT: &str = "apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
namePrefix: c-
configMapGenerator: [{name: m, behavior: merge, literals: [k=v]}]
";

const CONFIGURATION: &str = "namePrefix: [{path: metadata/name}]
images: [{path: spec/image, kind: Custom}]
";

fuzz_target!(|input: &str| {
    build_twice(&[
        ("kustomization.yaml", input),
        ("a.yaml", WORKLOAD),
        ("patch.yaml", PATCH),
        (
            "base/kustomization.yaml",
            "resources: [a.yaml]\nnameSuffix: -b\n",
        ),
        ("base/a.yaml", PATCH),
        ("component/kustomization.yaml", COMPONENT),
        ("configuration.yaml", CONFIGURATION),
        ("file.env", "A=b\nC=d\n"),
    ]);
});
