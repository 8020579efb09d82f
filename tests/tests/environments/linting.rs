//! `weir lint`: every rule on a repository that breaks it, every form of output, mending, and switching off.

use std::fs;

use serde_json::Value;
use weir_tests::Repository;

use crate::golden;
use crate::said::{json, kustomization, map, printed, repository, weir};

const RECIPIENT: &str = "age1d0qdklvyrqphhxzp3x27zxy63c7xzs64dlgy70nzn86kr0y0me6scjsvr8";

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replica: 2
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
        - name: shop
          image: registry.example.com/shop
          imagepullPolicy: Always
          env:
            - name: PORT
              value: 8080
            - name: REGION
              value: ${region}
";

const DEFINITION: &str = "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Widget, plural: widgets}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              required: [color]
              properties:
                color: {type: string}
                size: {type: integer}
                more: {type: object, x-kubernetes-preserve-unknown-fields: true}
";

const WIDGET: &str = "\
apiVersion: example.com/v1
kind: Widget
metadata: {name: one}
spec:
  size: \"3\"
  sise: 4
  more: {anything: [goes]}
";

const SECRET: &str = "\
apiVersion: v1
kind: Secret
metadata: {name: shop}
stringData:
  password: hunter2-of-the-shop
  domain: ${domain}
";

/// Three clusters of one stage, of which one is odd, and one that does not build.
fn crooked() -> Repository {
    let work = repository();
    let rest = "  decryption: {provider: sops}\n  postBuild: {substitute: {region: eu, domain: example.com}}\n";
    for name in ["ap", "eu", "us"] {
        let path = format!("./envs/prod-{name}");
        work.write(
            &format!("clusters/{name}/apps.yaml"),
            kustomization("apps", &path, rest),
        );
        let list = "resources: [../../stages/prod]\n";
        work.write(&format!("envs/prod-{name}/kustomization.yaml"), list);
    }
    work.write(
        "clusters/eu/extra.yaml",
        kustomization("extra", "./extra", ""),
    );
    work.write(
        "clusters/broken/apps.yaml",
        kustomization("apps", "./envs/broken", ""),
    );
    work.write(
        "envs/broken/kustomization.yaml",
        "resources:\n  - missing.yaml\n",
    );
    work.write(
        "envs/prod-eu/kustomization.yaml",
        "resources: [../../stages/prod, config.yaml, secret.yaml]\ncomponents: [../../options/debug]\n",
    );
    work.write("envs/prod-eu/config.yaml", map("config", "{a: b}"));
    work.write("envs/prod-eu/secret.yaml", SECRET);
    work.write(
        "options/debug/kustomization.yaml",
        "kind: Component\ncommonAnnotations: {debug: 'on'}\n",
    );
    work.write(
        "stages/prod/kustomization.yaml",
        "resources: [deployment.yaml]\n",
    );
    work.write("stages/prod/deployment.yaml", DEPLOYMENT);
    work.write("stages/prod/leftover.yaml", map("leftover", "{a: b}"));
    work.write(
        "extra/kustomization.yaml",
        "resources: [config.yaml, crd.yaml, widget.yaml]\nsecretGenerator:\n- name: token\n  literals: [token=abc]\n",
    );
    work.write("extra/config.yaml", map("config", "{a: c}"));
    work.write("extra/crd.yaml", DEFINITION);
    work.write("extra/widget.yaml", WIDGET);
    work.write("old/kustomization.yaml", "resources: [config.yaml]\n");
    work.write("old/config.yaml", map("old", "{a: b}"));
    work.write("keys/age.txt", "# mine\nAGE-SECRET-KEY-1QQQQ\n");
    work.write("ignored/secret.yaml", SECRET);
    work.write(".gitignore", "/ignored/\n");
    work.write(
        ".sops.yaml",
        format!("creation_rules:\n- path_regex: ^envs/.*\\.yaml$\n  encrypted_regex: ^(data|stringData)$\n  age: {RECIPIENT}\n"),
    );
    work.commit("first");
    work
}

fn rules(found: &Value) -> Vec<(&str, &str)> {
    let findings = found["findings"].as_array().unwrap().iter();
    findings
        .map(|it| (it["file"].as_str().unwrap(), it["rule"].as_str().unwrap()))
        .collect()
}

#[test]
fn every_rule_finds_what_it_is_for_with_file_and_line() {
    let work = crooked();
    let text = printed(work.path(), &["lint"], 3);
    golden::same("lint.txt", &text);
    assert!(
        !text.contains("hunter2") && !text.contains("QQQQ"),
        "{text}"
    );
}

#[test]
fn one_rule_and_one_folder_can_be_asked_for() {
    let work = crooked();
    let found = json(
        work.path(),
        &["lint", "envs", "--rule", "plaintext-secret"],
        3,
    );
    assert_eq!(
        rules(&found),
        [("envs/prod-eu/secret.yaml", "plaintext-secret")]
    );
    let finding = &found["findings"][0];
    assert_eq!(
        (&finding["line"], &finding["fixable"]),
        (&5.into(), &true.into())
    );
    let found = json(work.path(), &["lint", "--rule", "unpinned-image"], 2);
    assert_eq!(
        rules(&found),
        [("stages/prod/deployment.yaml", "unpinned-image")]
    );
    let environments = &found["findings"][0]["environments"];
    assert_eq!(environments.as_array().unwrap().len(), 3, "{environments}");
    let said = weir(work.path(), &["lint", "nowhere"]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(
        said.err.contains("nowhere: no such file or folder"),
        "{}",
        said.err
    );
}

#[test]
fn a_revision_is_read_as_it_was_committed() {
    let work = crooked();
    work.remove("old");
    work.commit("second");
    let before = json(
        work.path(),
        &["lint", "--rev", "HEAD~1", "--rule", "unreferenced-file"],
        2,
    );
    let after = json(work.path(), &["lint", "--rule", "unreferenced-file"], 2);
    let leftover = ("stages/prod/leftover.yaml", "unreferenced-file");
    assert_eq!(
        rules(&before),
        [("old/kustomization.yaml", "unreferenced-file"), leftover]
    );
    assert_eq!(rules(&after), [leftover]);
}

#[test]
fn forges_get_sarif() {
    let work = crooked();
    let text = printed(work.path(), &["lint", "-o", "sarif"], 3);
    let sarif: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let run = &sarif["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let known: Vec<&str> = rules
        .iter()
        .map(|rule| rule["id"].as_str().unwrap())
        .collect();
    for result in run["results"].as_array().unwrap() {
        assert!(
            known.contains(&result["ruleId"].as_str().unwrap()),
            "{result}"
        );
        assert!(
            ["error", "warning"].contains(&result["level"].as_str().unwrap()),
            "{result}"
        );
        let location = &result["locations"][0]["physicalLocation"];
        let file = location["artifactLocation"]["uri"].as_str().unwrap();
        assert!(work.path().join(file).is_file(), "{result}");
    }
    let images = run["results"].as_array().unwrap().iter();
    let image = images
        .clone()
        .find(|it| it["ruleId"] == "unpinned-image")
        .unwrap();
    let region = &image["locations"][0]["physicalLocation"]["region"];
    assert_eq!(
        (&region["startLine"], &region["startColumn"]),
        (&12.into(), &18.into())
    );
}

#[test]
fn what_can_be_mended_without_thinking_is() {
    let work = crooked();
    let said = weir(work.path(), &["lint", "--fix"]);
    assert_eq!(said.code, 3, "{}{}", said.out, said.err);
    let mended: Vec<&str> = said.err.lines().collect();
    assert_eq!(
        mended,
        [
            "mended envs/prod-eu/secret.yaml",
            "mended extra/widget.yaml",
            "mended stages/prod/deployment.yaml"
        ]
    );
    let read = |path: &str| fs::read_to_string(work.path().join(path)).unwrap();
    let deployment = DEPLOYMENT
        .replace("8080", "\"8080\"")
        .replace("imagepullPolicy", "imagePullPolicy");
    assert_eq!(read("stages/prod/deployment.yaml"), deployment);
    assert_eq!(read("extra/widget.yaml"), WIDGET.replace("\"3\"", "3"));
    let secret = read("envs/prod-eu/secret.yaml");
    assert!(
        secret.contains("kind: Secret")
            && secret.contains("password: ENC[")
            && secret.contains(RECIPIENT),
        "{secret}"
    );
    assert!(!secret.contains("hunter2"));
    assert!(!said.out.contains("--fix"), "{}", said.out);
    let again = weir(work.path(), &["lint", "--fix"]);
    assert!(again.err.contains("nothing to mend"), "{}", again.err);
}

const SERVICE: &str = "\
apiVersion: v1
kind: Service
metadata: {name: shop}
spec:
  type: clusterip
  sessionAffinity: \"CLIENTIP\"
  externalTrafficPolicy: Locale
  ports:
    - name: http
      protocol: ${protocol}
    - {name: https, port: 443, protocol: tcp}
";

/// One environment that a base is completed in, with a patch that is no object by itself.
fn incomplete() -> Repository {
    let work = repository();
    work.write(
        "envs/eu/kustomization.yaml",
        "resources: [../../base, service.yaml]\npatches:\n- path: patch.yaml\n",
    );
    work.write(
        "envs/eu/patch.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop}\nspec:\n  template:\n    spec:\n      containers:\n      - name: shop\n        image: registry.example.com/shop:1\n      - name: side\n        imagePullPolicy: never\n",
    );
    work.write("base/kustomization.yaml", "resources: [deployment.yaml]\n");
    work.write(
        "base/deployment.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop}\nspec:\n  selector: {matchLabels: {app: shop}}\n  template:\n    metadata: {labels: {app: shop}}\n    spec:\n      containers:\n      - name: shop\n",
    );
    work.write("envs/eu/service.yaml", SERVICE);
    work.commit("first");
    work
}

#[test]
fn what_is_missing_and_what_is_not_allowed_is_told_of_whole_objects() {
    let work = incomplete();
    let found = json(work.path(), &["lint", "--rule", "schema"], 3);
    let findings = found["findings"].as_array().unwrap().iter();
    let told: Vec<String> = findings
        .map(|it| {
            let text = |field: &str| it[field].as_str().unwrap();
            let line = it["line"].as_u64().unwrap();
            format!(
                "{}:{line}: {} ({})",
                text("file"),
                text("message"),
                text("hint")
            )
        })
        .collect();
    golden::same("lint-schema.txt", &(told.join("\n") + "\n"));
}

#[test]
fn the_case_of_a_value_is_mended_where_only_one_can_be_meant() {
    let work = incomplete();
    let said = weir(work.path(), &["lint", "--rule", "schema", "--fix"]);
    assert_eq!(said.code, 3, "{}{}", said.out, said.err);
    let read = |path: &str| fs::read_to_string(work.path().join(path)).unwrap();
    let service = SERVICE
        .replace("clusterip", "ClusterIP")
        .replace("CLIENTIP", "ClientIP")
        .replace("tcp", "TCP");
    assert_eq!(read("envs/eu/service.yaml"), service);
    assert!(read("envs/eu/patch.yaml").contains("imagePullPolicy: Never\n"));
    assert!(!said.out.contains("clusterip"), "{}", said.out);
}

#[test]
fn rules_are_switched_off_for_paths() {
    let work = crooked();
    work.write(
        "weir.yaml",
        "lint:\n  ignore:\n  - paths: ['keys/**']\n    reason: a key for tests\n  - rules: [schema, unpinned-image]\n",
    );
    let found = json(work.path(), &["lint"], 3);
    let off = ["schema", "unpinned-image"];
    assert!(
        rules(&found)
            .iter()
            .all(|(file, rule)| !off.contains(rule) && !file.starts_with("keys/")),
        "{found}"
    );
    work.write("weir.yaml", "lint: {ignore: [{rules: [shema]}]}\n");
    let said = weir(work.path(), &["lint"]);
    assert_eq!(said.code, 1);
    assert!(
        said.err
            .contains("there is no rule \"shema\"; did you mean schema?"),
        "{}",
        said.err
    );
}

#[test]
fn the_example_is_clean() {
    let example =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/flux-structure");
    let work = repository();
    work.copy(&example, "");
    work.commit("the example");
    let text = printed(work.path(), &["lint"], 0);
    assert_eq!(text, "Nothing found in 3 environments\n");
}
