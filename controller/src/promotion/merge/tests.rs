//! Tables of merges: base, source, target, what the target holds then, and what was found.

use super::{Base, Choice, Finding, Merged, Rules, Side, What, merge};

fn merged(base: &str, source: &str, target: &str) -> Merged {
    merge(Base::Was(base), source, target, &Rules::default()).expect("mergeable")
}

/// `path: what` of every finding.
fn told(findings: &[Finding]) -> Vec<String> {
    let told = |finding: &Finding| format!("{} {:?}", finding.path, finding.what);
    findings.iter().map(told).collect()
}

const TARGET: &str = "\
# Shop, in production.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop    # do not rename
spec:
  replicas: 5
  template:
    spec:
      containers:
      # the one that matters
      - name: shop
        image: 'shop:1.0'   # promoted
        env:
        - {name: MODE, value: prod}
        - name: LEVEL
          value: warn
";

const BASE: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 5
  template:
    spec:
      containers:
        - name: shop
          image: shop:1.0
          env:
            - name: MODE
              value: prod
            - name: LEVEL
              value: warn
";

#[test]
fn only_the_leaves_that_changed_are_written() {
    let source = BASE
        .replace("shop:1.0", "shop:1.1")
        .replace("value: warn", "value: info");
    let result = merged(BASE, &source, TARGET);
    let want = TARGET
        .replace("'shop:1.0'", "shop:1.1")
        .replace("value: warn", "value: info");
    assert_eq!(result.text, want);
    assert_eq!(
        told(&result.findings),
        [
            "spec.template.spec.containers[shop].image Taken",
            "spec.template.spec.containers[shop].env[LEVEL].value Taken",
        ]
    );
}

#[test]
fn what_is_new_stands_where_it_stood_and_what_is_gone_goes() {
    let source = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
  labels:
    tier: web
spec:
  # how it rolls
  strategy:
    rollingUpdate:
      maxSurge: 1
  replicas: 5
  template:
    spec:
      containers:
        - name: shop
          image: shop:1.0
          env:
            - name: MODE
              value: prod
            - name: ZONE
              value: a   # any
        - name: side
          image: side:1
";
    let result = merged(BASE, source, TARGET);
    let want = "\
# Shop, in production.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop    # do not rename
  labels:
    tier: web
spec:
  strategy:
    rollingUpdate:
      maxSurge: 1
  replicas: 5
  template:
    spec:
      containers:
      # the one that matters
      - name: shop
        image: 'shop:1.0'   # promoted
        env:
        - {name: MODE, value: prod}
        - name: ZONE
          value: a   # any
      - name: side
        image: side:1
";
    assert_eq!(result.text, want);
}

#[test]
fn edits_of_the_target_stay_and_are_named() {
    let source = BASE.replace("shop:1.0", "shop:1.1");
    let target = TARGET.replace("value: warn", "value: debug") + "  paused: true\n";
    let result = merged(BASE, &source, &target);
    assert_eq!(result.text, target.replace("'shop:1.0'", "shop:1.1"));
    assert_eq!(
        told(&result.findings),
        [
            "spec.template.spec.containers[shop].image Taken",
            "spec.template.spec.containers[shop].env[LEVEL].value Kept",
            "spec.paused Kept",
        ]
    );
}

/// Base, source and target of one field, what is found, and what the target holds.
type Case<'a> = (&'a str, &'a str, &'a str, &'a [&'a str], &'a str);

#[test]
fn who_changed_what_decides() {
    let cases: &[Case<'_>] = &[
        ("a: 1\n", "a: 2\n", "a: 1\n", &["a Taken"], "a: 2\n"),
        ("a: 1\n", "a: 1\n", "a: 2\n", &["a Kept"], "a: 2\n"),
        ("a: 1\n", "a: 2\n", "a: 2\n", &[], "a: 2\n"),
        ("a: 1\n", "a: 2\n", "a: 3\n", &["a Conflict"], "a: 3\n"),
        (
            "a: 1\nb: 2\n",
            "b: 2\n",
            "a: 1\nb: 2\n",
            &["a Taken"],
            "b: 2\n",
        ),
        (
            "a: 1\nb: 2\n",
            "b: 2\n",
            "a: 3\nb: 2\n",
            &["a Conflict"],
            "a: 3\nb: 2\n",
        ),
        (
            "a: 1\nb: 2\n",
            "a: 1\nb: 2\n",
            "b: 2\n",
            &["a StaysDeleted"],
            "b: 2\n",
        ),
        (
            "a: 1\nb: 2\n",
            "a: 3\nb: 2\n",
            "b: 2\n",
            &["a Conflict"],
            "b: 2\n",
        ),
        (
            "b: 2\n",
            "a: 1\nb: 2\n",
            "b: 2\n",
            &["a Taken"],
            "a: 1\nb: 2\n",
        ),
        (
            "b: 2\n",
            "a: 1\nb: 2\n",
            "a: 2\nb: 2\n",
            &["a Conflict"],
            "a: 2\nb: 2\n",
        ),
        // Types count, notations do not.
        ("a: '1'\n", "a: \"1\"\n", "a: '1'\n", &[], "a: '1'\n"),
        (
            "a: '1'\n",
            "a: 1\n",
            "a: '1' # x\n",
            &["a Taken"],
            "a: 1 # x\n",
        ),
        // Values that change their shape.
        (
            "a: 1\n",
            "a:\n  b: 1\n",
            "a: 1 # why\nz: 1\n",
            &["a Taken", "z Kept"],
            "a: # why\n  b: 1\nz: 1\n",
        ),
        (
            "a:\n  b: 1\n",
            "a: x\n",
            "a:\n    b: 1\n",
            &["a Taken"],
            "a: x\n",
        ),
        (
            "a: x\n",
            "a: |\n  x\n  y\n",
            "k:\n- a: x\n",
            &["k Kept", "a Conflict"],
            "k:\n- a: x\n",
        ),
        (
            "k:\n  a: x\n",
            "k:\n  a: |\n    x\n    y\n",
            "k:\n    a: x\n",
            &["k.a Taken"],
            "k:\n    a: |\n      x\n      y\n",
        ),
        (
            "a: {}\n",
            "a: {b: 1}\n",
            "a: {}\n",
            &["a.b Taken"],
            "a: {b: 1}\n",
        ),
        (
            "a:\n  b: 1\n",
            "a: {}\n",
            "a:\n  b: 1\nc: 1\n",
            &["a.b Taken", "c Kept"],
            "a: {}\nc: 1\n",
        ),
        (
            "a:\n",
            "a: 1\n",
            "a:\nb: 1\n",
            &["a Taken", "b Kept"],
            "a: 1\nb: 1\n",
        ),
        // No line break at the end.
        ("a: 1", "a: 1\nb: 2", "a: 1", &["b Taken"], "a: 1\nb: 2"),
        // Carriage returns stay as they are.
        (
            "a: 1\n",
            "a: 1\nb: 2\nc: 3\n",
            "a: 1\r\n",
            &["b Taken", "c Taken"],
            "a: 1\r\nb: 2\r\nc: 3\r\n",
        ),
    ];
    for (base, source, target, findings, want) in cases {
        let result = merged(base, source, target);
        assert_eq!(&result.text, want, "{base:?} {source:?} {target:?}");
        assert_eq!(
            told(&result.findings),
            *findings,
            "{base:?} {source:?} {target:?}"
        );
    }
}

#[test]
fn lists_merge_by_key_by_value_or_as_one() {
    let cases: &[Case<'_>] = &[
        // By value: both sides add.
        (
            "resources:\n- a.yaml\n- b.yaml\n",
            "resources:\n- a.yaml\n- s.yaml\n- b.yaml\n",
            "resources:\n  - a.yaml\n  - b.yaml\n  - t.yaml\n",
            &["resources[t.yaml] Kept", "resources[s.yaml] Taken"],
            "resources:\n  - a.yaml\n  - s.yaml\n  - b.yaml\n  - t.yaml\n",
        ),
        (
            "l: [a, b]\n",
            "l: [b]\n",
            "l: [a, b]\n",
            &["l[a] Taken"],
            "l: [b]\n",
        ),
        (
            "l: [a, b]\n",
            "l: [a]\n",
            "l: [a, b, c]\n",
            &["l[b] Taken", "l[c] Kept"],
            "l: [a, c]\n",
        ),
        (
            "l: [a]\n",
            "l: []\n",
            "l: [a]\n",
            &["l[a] Taken"],
            "l: []\n",
        ),
        (
            "l: []\n",
            "l: [a]\n",
            "l: []\n",
            &["l[a] Taken"],
            "l: [a]\n",
        ),
        // Both replaced the same item.
        (
            "l: [a, b]\n",
            "l: [a, x]\n",
            "l: [a, y]\n",
            &["l Conflict"],
            "l: [a, y]\n",
        ),
        // Only the order changed, and only in the source.
        (
            "l: [a, b]\n",
            "l: [b, a]\n",
            "l: [a, b] # x\n",
            &["l Taken"],
            "l: [b, a] # x\n",
        ),
        // Order alone has a meaning, or items repeat.
        (
            "args: [a, b]\n",
            "args: [a, b, c]\n",
            "args: [z, a, b]\n",
            &["args Conflict"],
            "args: [z, a, b]\n",
        ),
        (
            "l: [a, a]\n",
            "l: [a]\n",
            "l: [a, a]\n",
            &["l Taken"],
            "l: [a]\n",
        ),
        // By key, also in kinds of which nothing is known.
        (
            "images:\n- name: x\n  newTag: '1'\n",
            "images:\n- name: x\n  newTag: '2'\n- name: z\n  newTag: '1'\n",
            "images:\n- newTag: '1' # tag\n  name: x\n- name: y\n  newTag: '7'\n",
            &[
                "images[x].newTag Taken",
                "images[y] Kept",
                "images[z] Taken",
            ],
            "images:\n- newTag: '2' # tag\n  name: x\n- name: z\n  newTag: '1'\n- name: y\n  newTag: '7'\n",
        ),
        // The first key of an item, and all of them.
        (
            "l:\n- a: 1\n  b: 1\n- c: 1\n",
            "l:\n- c: 1\n",
            "l:\n- a: 1\n  b: 1\n- c: 1\n",
            &["l[{\"a\": 1, \"b\": 1}] Taken"],
            "l:\n- c: 1\n",
        ),
        (
            "env:\n- name: x\n  value: 1\n",
            "env:\n- name: x\n  from: y\n",
            "env:\n- value: 1\n  name: x\n",
            &["env[x].value Taken", "env[x].from Taken"],
            "env:\n- name: x\n  from: y\n",
        ),
    ];
    for (base, source, target, findings, want) in cases {
        let result = merged(base, source, target);
        assert_eq!(&result.text, want, "{base:?} {source:?} {target:?}");
        assert_eq!(
            told(&result.findings),
            *findings,
            "{base:?} {source:?} {target:?}"
        );
    }
}

#[test]
fn json_keeps_its_form() {
    let base = "{\n  \"a\": 1,\n  \"b\": [1, 2],\n  \"c\": {\"d\": true}\n}\n";
    let source = "{\n  \"a\": 2,\n  \"b\": [1],\n  \"new\": {\"x\": [1]},\n  \"c\": {}\n}\n";
    let target = "{\n    \"z\":0,\n    \"a\":1,\n    \"b\": [1, 2],\n    \"c\": {\"d\": true}\n}\n";
    let want = "{\n    \"z\":0,\n    \"a\":2,\n    \"b\": [1],\n    \"new\": {\"x\": [1]},\n    \"c\": {}\n}\n";
    assert_eq!(merged(base, source, target).text, want);
    let minified = merged("{\"a\":1}", "{\"a\":1,\"b\":\"x\"}", "{\"a\":1}");
    assert_eq!(minified.text, "{\"a\":1, \"b\":\"x\"}");
}

#[test]
fn files_inside_config_maps_merge_by_their_leaves() {
    let map = |data: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m}}\ndata:\n{data}")
    };
    let cases: &[Case<'_>] = &[
        (
            "  app.properties: |\n    # levels\n    level=warn\n    pool=5\n",
            "  app.properties: |\n    level=info\n    pool=5\n    cache=on\n",
            "  app.properties: |\n      # levels\n      level=warn\n      pool=9\n",
            &[
                "data.\"app.properties\".level Taken",
                "data.\"app.properties\".pool Kept",
                "data.\"app.properties\".cache Taken",
            ],
            "  app.properties: |\n      # levels\n      level=info\n      pool=9\n      cache=on\n",
        ),
        (
            "  app.yaml: |\n    a: 1\n    b: 1\n",
            "  app.yaml: |\n    a: 2\n    b: 1\n",
            "  app.yaml: | # settings\n    a: 1 # first\n    b: 3\n  z: x\n",
            &[
                "data.\"app.yaml\".a Taken",
                "data.\"app.yaml\".b Kept",
                "data.z Kept",
            ],
            "  app.yaml: | # settings\n    a: 2 # first\n    b: 3\n  z: x\n",
        ),
        (
            "  x.json: '{\"a\": 1, \"b\": 1}'\n",
            "  x.json: '{\"a\": 2, \"b\": 1}'\n",
            "  x.json: '{\"a\": 1, \"b\": 3}'\n",
            &["data.\"x.json\".a Taken", "data.\"x.json\".b Kept"],
            "  x.json: \"{\\\"a\\\": 2, \\\"b\\\": 3}\"\n",
        ),
        (
            "  env: |-\n    A=1\n    B=1\n",
            "  env: |-\n    A=2\n    B=1\n",
            "  env: |-\n    A=1\n    B=3\n",
            &["data.env.A Taken", "data.env.B Kept"],
            "  env: |-\n    A=2\n    B=3\n",
        ),
        // A script is one value.
        (
            "  run.sh: |\n    a\n    b\n",
            "  run.sh: |\n    a\n    c\n",
            "  run.sh: |\n    x\n    b\n",
            &["data.\"run.sh\" Conflict"],
            "  run.sh: |\n    x\n    b\n",
        ),
    ];
    for (base, source, target, findings, want) in cases {
        let result = merged(&map(base), &map(source), &map(target));
        assert_eq!(result.text, map(want));
        assert_eq!(told(&result.findings), *findings);
    }
}

#[test]
fn documents_meet_by_kind_and_name() {
    let document = |name: &str, value: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  k: {value}\n")
    };
    let join = |documents: &[String]| documents.join("---\n");
    let base = join(&[document("a", "1"), document("b", "1"), document("c", "1")]);
    let source = join(&[document("c", "2"), document("b", "1"), document("d", "1")]);
    let target = join(&[document("a", "1"), document("b", "7"), document("c", "1")]);
    let result = merged(&base, &source, &target);
    let want = join(&[document("b", "7"), document("c", "2"), document("d", "1")]);
    assert_eq!(result.text, want);
    assert_eq!(
        told(&result.findings),
        [
            "ConfigMap/a: Taken",
            "ConfigMap/b:data.k Kept",
            "ConfigMap/c:data.k Taken",
            "ConfigMap/d: Taken",
        ]
    );
}

#[test]
fn without_a_base_every_difference_is_listed() {
    let (source, target) = ("a: 1\nb: 1\nc: 1\n", "a: 1\nb: 2\nd: 1\n");
    let result = merge(Base::Unknown, source, target, &Rules::default()).expect("mergeable");
    assert_eq!(result.text, target);
    assert_eq!(told(&result.findings), ["b Unmet", "d Unmet", "c Unmet"]);
    let choice = |path: &str, side| Choice {
        path: path.to_owned(),
        side,
    };
    let rules = Rules {
        choices: vec![choice("", Side::Source), choice("d", Side::Target)],
        ..Rules::default()
    };
    let result = merge(Base::Unknown, source, target, &rules).expect("mergeable");
    assert_eq!(result.text, "a: 1\nb: 1\nc: 1\nd: 1\n");
    assert!(result.findings.iter().all(|finding| !finding.is_open()));
}

#[test]
fn choices_and_pins_settle_conflicts() {
    let (base, source, target) = ("a: 1\nb: 1\n", "a: 2\nb: 2\n", "a: 3\nb: 3\n");
    let rules = Rules {
        choices: vec![Choice {
            path: "a".to_owned(),
            side: Side::Source,
        }],
        pins: vec!["b".to_owned()],
        ..Rules::default()
    };
    let result = merge(Base::Was(base), source, target, &rules).expect("mergeable");
    assert_eq!(result.text, "a: 2\nb: 3\n");
    assert_eq!(told(&result.findings), ["a Taken", "b Pinned"]);
    let pinned = merge(Base::Was(base), source, base, &rules).expect("mergeable");
    assert_eq!(
        pinned.text, "a: 2\nb: 1\n",
        "what is pinned stays even where nobody touched it"
    );
}

#[test]
fn what_never_travels_stays_on_both_sides() {
    let rules = Rules {
        never: vec![
            "spec.replicas".to_owned(),
            "spec.containers[*].resources".to_owned(),
        ],
        ..Rules::default()
    };
    let source = "spec:\n  replicas: 1\n  containers:\n  - name: a\n    resources: {cpu: 1}\n    image: a:2\n";
    let target = "spec:\n  containers:\n  - name: a\n    image: a:1\n    resources: {cpu: 4}\n  replicas: 9\n";
    let base = "spec:\n  replicas: 3\n  containers:\n  - name: a\n    image: a:1\n";
    let result = merge(Base::Was(base), source, target, &rules).expect("mergeable");
    assert_eq!(result.text, target.replace("a:1", "a:2"));
    assert_eq!(told(&result.findings), ["spec.containers[a].image Taken"]);
    let fresh = merge(Base::Absent, source, "", &rules).expect("mergeable");
    assert_eq!(
        fresh.text,
        "spec:\n  containers:\n  - name: a\n    image: a:2\n"
    );
}

#[test]
fn entries_that_lead_back_to_the_source_never_travel() {
    let rules = Rules {
        folder: "stages/prod/shop".to_owned(),
        home: vec!["stages/staging".to_owned(), "envs/staging".to_owned()],
        ..Rules::default()
    };
    let base = "resources:\n- a.yaml\n";
    let source =
        "resources:\n- a.yaml\n- ../../staging/extra\n- ../../../envs/staging/x.yaml\n- b.yaml\n";
    let result = merge(Base::Was(base), source, base, &rules).expect("mergeable");
    assert_eq!(result.text, "resources:\n- a.yaml\n- b.yaml\n");
}

#[test]
fn anchors_are_kept_or_the_merge_gives_up() {
    let base = "x: &x {a: 1}\ny: *x\nz: 1\n";
    let result = merged(base, &base.replace("z: 1", "z: 2"), base);
    assert_eq!(result.text, "x: &x {a: 1}\ny: *x\nz: 2\n");
    let changed = merged(base, &base.replace("a: 1", "a: 5"), base);
    assert_eq!(changed.text, "x: &x {a: 5}\ny: *x\nz: 1\n");
    assert_eq!(changed.findings[0].what, What::Taken);
}
