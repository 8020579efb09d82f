//! Without a key and without a cluster: what is not known is said to be so, and never said to change.

use crate::said::{json, kustomization, map, printed, repository, sealed};

/// A cluster that gets its facts from an encrypted Secret of its own and from a ConfigMap that it is given.
fn fleet() -> weir_tests::Repository {
    let work = repository();
    let from = "  decryption: {provider: sops}\n  postBuild: {substituteFrom: [{kind: Secret, name: facts}, {kind: ConfigMap, name: given, optional: true}]}\n";
    work.write("clusters/one/apps.yaml", kustomization("apps", "./envs/one", from))
        .write(
            "clusters/one/facts.yaml",
            sealed("facts", &[("domain", "first")]).replace("name: facts", "name: facts\n  namespace: flux-system"),
        )
        .write(
            "envs/one/kustomization.yaml",
            "resources: [map.yaml]\nsecretGenerator: [{name: keys, files: [key.bin.enc]}]\n",
        )
        .write(
            "envs/one/key.bin.enc",
            "{\"data\": \"ENC[AES256_GCM,data:one]\", \"sops\": {\"mac\": \"ENC[AES256_GCM,data:two]\"}}",
        )
        .write(
            "envs/one/map.yaml",
            map("map", "{host: 'a.${domain}', size: '${domain:0:3}', region: '${region:=none}', secret: keys}")
                + "apiVersion: v1\nkind: Pod\nmetadata: {name: pod}\nspec: {volumes: [{name: keys, secret: {secretName: keys}}]}\n",
        );
    work.commit("first");
    work
}

#[test]
fn an_environment_builds_without_its_key() {
    let work = fleet();
    let out = printed(
        work.path(),
        &["build", "--kustomization", "clusters/one/apps.yaml#apps"],
        0,
    );
    assert!(
        out.contains("host: 'a.(known after apply: facts.domain)'"),
        "{out}"
    );
    assert!(
        out.contains("size: '(known after apply: facts.domain)'"),
        "no part of a token: {out}"
    );
    assert!(
        out.contains("region: none"),
        "an optional source that is not there leaves defaults: {out}"
    );
    assert_eq!(
        out.matches("keys-(unknown)").count(),
        2,
        "its name and its reference: {out}"
    );
}

#[test]
fn what_is_not_known_changes_only_when_its_ciphertext_does() {
    let work = fleet();
    work.write(
        "envs/one/map.yaml",
        map(
            "map",
            "{host: 'b.${domain}', size: '${domain:0:3}', region: '${region:=none}', secret: keys}",
        ),
    );
    work.commit("another host");
    let text = printed(
        work.path(),
        &["plan", "--from", "main~1", "--to", "main"],
        3,
    );
    let line =
        "~ data.host: a.(known after apply: facts.domain) → b.(known after apply: facts.domain)";
    assert!(text.contains(line), "{text}");
    assert!(
        !text.contains("data.size") && !text.contains("keys"),
        "{text}"
    );

    work.write(
        "clusters/one/facts.yaml",
        sealed("facts", &[("domain", "second")])
            .replace("name: facts", "name: facts\n  namespace: flux-system"),
    );
    work.commit("another secret");
    let plan = json(
        work.path(),
        &["plan", "--from", "main~1", "--to", "main"],
        2,
    );
    assert_eq!(
        plan["counts"]["mayChange"], 2,
        "the Secret and what is made of it: {plan:#}"
    );
    assert_eq!(plan["counts"]["change"], 0, "{plan:#}");
    let text = printed(
        work.path(),
        &["plan", "--from", "main~1", "--to", "main"],
        2,
    );
    assert!(
        text.contains("? data.size: may change: (known after apply: facts.domain)"),
        "{text}"
    );
    assert!(text.contains("stringData.domain: *** may change (known after apply: encrypted in clusters/one/facts.yaml)"), "{text}");
}

#[test]
fn a_generator_of_unknown_content_is_neither_new_nor_gone() {
    let work = fleet();
    work.write(
        "envs/one/key.bin.enc",
        "{\"data\": \"ENC[AES256_GCM,data:three]\", \"sops\": {\"mac\": \"ENC[AES256_GCM,data:four]\"}}",
    );
    let text = printed(work.path(), &["plan", "--from", "main"], 2);
    assert!(text.contains("? Secret keys-(unknown)"), "{text}");
    // Its name will be another one, if its content is: what refers to it is another one then, too.
    let line = "? spec.volumes[keys].secret.secretName: may change: keys-(unknown)";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("Plan: 2 may change, "), "{text}");
}

#[test]
fn given_variables_take_the_place_of_unknown_ones() {
    let work = fleet();
    work.write("vars.yaml", "domain: example.org\n");
    let arguments = [
        "build",
        "--vars",
        "vars.yaml",
        "--kustomization",
        "clusters/one/apps.yaml#apps",
    ];
    let out = printed(work.path(), &arguments, 0);
    assert!(
        out.contains("host: a.example.org") && out.contains("size: exa"),
        "{out}"
    );
    // What the repository itself says stands above them.
    let facts = map("given", "{domain: example.com}");
    let facts = facts.replace("name: given", "name: given, namespace: flux-system");
    work.write("clusters/one/given.yaml", facts);
    let out = printed(work.path(), &arguments, 0);
    assert!(out.contains("host: a.example.com"), "{out}");
}

#[test]
fn a_token_in_a_manifest_is_only_text() {
    let work = fleet();
    let forged = format!("unknown{:032x}x61q62z", 0);
    work.write(
        "envs/one/map.yaml",
        map("map", &format!("{{host: {forged}}}")),
    );
    let text = printed(work.path(), &["plan", "--from", "main"], 3);
    assert!(text.contains(&format!("→ {forged}")), "{text}");
}

const RECIPIENT: &str = "age1d0qdklvyrqphhxzp3x27zxy63c7xzs64dlgy70nzn86kr0y0me6scjsvr8";

/// Encrypts a file of the work tree whole, and puts the outcome where it belongs.
fn encrypt(work: &weir_tests::Repository, format: &str, path: &str, value: &str) {
    let text = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: whole}}\nstringData: {{token: {value}}}\n"
    );
    encrypt_text(work, format, path, &text, value);
}

fn encrypt_text(work: &weir_tests::Repository, format: &str, path: &str, text: &str, value: &str) {
    work.write("plain", text);
    let arguments = [
        "secrets", "encrypt", "--age", RECIPIENT, "--format", format, "plain",
    ];
    let sealed = printed(work.path(), &arguments, 0);
    assert!(
        sealed.contains("ENC[") && !sealed.contains(value),
        "{sealed}"
    );
    work.write(path, sealed);
    std::fs::remove_file(work.path().join("plain")).unwrap();
}

#[test]
fn a_file_that_is_encrypted_as_a_whole_is_one_object_of_which_nothing_is_known() {
    let work = repository();
    let (yaml, binary) = ("envs/one/whole.yaml", "envs/one/whole.enc.yaml");
    work.write(
        "envs/one/kustomization.yaml",
        "namespace: apps\nresources: [map.yaml, whole.yaml, whole.enc.yaml]\n",
    );
    work.write("envs/one/map.yaml", map("map", "{a: b}"));
    encrypt(&work, "yaml", yaml, "first-value");
    encrypt(&work, "binary", binary, "first-value");
    work.commit("first");
    let envs = json(work.path(), &["envs"], 0);
    assert_eq!(
        (&envs[0]["builds"], &envs[0]["objects"]),
        (&true.into(), &3.into()),
        "{envs:#}"
    );
    assert_eq!(envs[0]["encryptedFiles"], serde_json::json!([binary, yaml]));

    work.write("envs/one/map.yaml", map("map", "{a: c}"));
    work.commit("another map");
    let plan = json(
        work.path(),
        &["plan", "--from", "main~1", "--to", "main"],
        2,
    );
    assert_eq!(
        (&plan["counts"]["change"], &plan["counts"]["mayChange"]),
        (&1.into(), &0.into()),
        "{plan:#}"
    );

    encrypt(&work, "yaml", yaml, "second-value");
    encrypt(&work, "binary", binary, "second-value");
    work.commit("other secrets");
    let text = printed(
        work.path(),
        &["plan", "--from", "main~1", "--to", "main"],
        2,
    );
    for want in [
        "? EncryptedFile apps/envs-one-whole.yaml",
        "? content: may change: (known after apply: encrypted in envs/one/whole.yaml)",
        "Plan: 2 may change",
    ] {
        assert!(text.contains(want), "{want}: {text}");
    }
}

/// A folder of two ConfigMaps with an entry of `patches` or of an older field.
fn patched(entry: &str) -> weir_tests::Repository {
    let work = repository();
    work.write(
        "envs/one/kustomization.yaml",
        format!("namespace: apps\nresources: [a.yaml, b.yaml]\n{entry}\n"),
    );
    work.write("envs/one/a.yaml", map("a", "{size: small}"));
    work.write("envs/one/b.yaml", map("b", "{size: small}"));
    encrypt_patch(&work, "first-value");
    work.commit("first");
    work
}

fn encrypt_patch(work: &weir_tests::Repository, value: &str) {
    let text = map("a", &format!("{{token: {value}}}"));
    encrypt_text(work, "yaml", "envs/one/patch.yaml", &text, value);
}

#[test]
fn a_patch_that_is_encrypted_as_a_whole_makes_its_targets_unknown() {
    for (entry, unknown, known) in [
        ("patches: [{path: patch.yaml, target: {name: a}}]", 1, 1),
        ("patches: [{path: patch.yaml}]", 2, 0),
        ("patchesStrategicMerge: [patch.yaml]", 2, 0),
        (
            "patchesJson6902: [{path: patch.yaml, target: {version: v1, kind: ConfigMap, name: a}}]",
            1,
            1,
        ),
    ] {
        let work = patched(entry);
        encrypt_patch(&work, "second-value");
        work.commit("another patch");
        let between = ["plan", "--from", "main~1", "--to", "main"];
        let counts = |plan: serde_json::Value| {
            let count = |name: &str| plan["counts"][name].as_u64().unwrap();
            (count("mayChange"), count("change"))
        };
        assert_eq!(
            counts(json(work.path(), &between, 2)),
            (unknown, 0),
            "{entry}"
        );
        let text = printed(work.path(), &between, 2);
        let line = "may change: (known after apply: encrypted in envs/one/patch.yaml)";
        assert!(
            text.contains("? ConfigMap apps/a") && text.contains(line),
            "{text}"
        );

        // What else changes in a target may be what the patch sets.
        for name in ["a", "b"] {
            work.write(&format!("envs/one/{name}.yaml"), map(name, "{size: large}"));
        }
        work.commit("larger");
        assert_eq!(
            counts(json(work.path(), &between, 2)),
            (unknown, known),
            "{entry}"
        );
        work.write("envs/one/c.yaml", "");
        work.commit("nothing");
        assert_eq!(
            printed(work.path(), &between, 0)
                .matches("may change")
                .count(),
            0
        );
    }
}

/// Operations are a list, which SOPS encrypts as bytes only.
#[test]
fn operations_that_are_encrypted_make_their_target_unknown() {
    let entry =
        "patchesJson6902: [{path: patch.json, target: {version: v1, kind: ConfigMap, name: a}}]";
    let work = patched(entry);
    for value in ["first-value", "second-value"] {
        let text = format!(r#"[{{"op": "add", "path": "/data/token", "value": "{value}"}}]"#);
        encrypt_text(&work, "binary", "envs/one/patch.json", &text, value);
        work.commit(value);
    }
    let text = printed(
        work.path(),
        &["plan", "--from", "main~1", "--to", "main"],
        2,
    );
    let line = "may change: (known after apply: encrypted in envs/one/patch.json)";
    assert!(
        text.contains("? ConfigMap apps/a") && text.contains(line),
        "{text}"
    );
    assert!(text.contains("Plan: 1 may change, 1 unchanged"), "{text}");
}

/// What variables come from may be patched too: then neither those that it has are known, nor which it has.
#[test]
fn variables_out_of_what_such_a_patch_is_about_are_unknown() {
    let work = repository();
    let from = "  decryption: {provider: sops}\n  postBuild: {substituteFrom: [{kind: ConfigMap, name: facts}]}\n";
    let encrypt = |value: &str| {
        let text = map("facts", &format!("{{extra: {value}}}"));
        encrypt_text(&work, "yaml", "clusters/one/patch.yaml", &text, value);
    };
    encrypt("first-value");
    work.write("clusters/one/apps.yaml", kustomization("apps", "./envs/one", from))
        .write(
            "clusters/one/kustomization.yaml",
            "resources: [apps.yaml, facts.yaml]\npatches: [{path: patch.yaml, target: {name: facts}}]\n",
        )
        .write(
            "clusters/one/facts.yaml",
            map("facts", "{domain: example.org}").replace("name: facts", "name: facts, namespace: flux-system"),
        )
        .write(
            "envs/one/map.yaml",
            map("map", "{host: 'a.${domain}', more: '${extra}', less: '${other:=none}', plain: text}")
                + &map("other", "{plain: text}"),
        );
    work.commit("first");
    let between = ["plan", "--from", "main~1", "--to", "main"];
    encrypt("second-value");
    work.commit("another patch");
    let text = printed(work.path(), &between, 2);
    for line in [
        "? ConfigMap map",
        "? data.host: may change: a.(known after apply: facts.domain)",
        "? data.more: may change: (known after apply: facts.extra)",
        "? data.less: may change: (known after apply: facts.other)",
        "? ConfigMap flux-system/facts",
    ] {
        assert!(text.lines().any(|it| it.trim() == line), "{line}: {text}");
    }
    assert!(
        !text.contains("data.plain") && !text.contains("-value"),
        "{text}"
    );
    work.write("README.md", "nothing");
    work.commit("the same patch");
    printed(work.path(), &between, 0);
}

/// The rules look at what is known, and take nothing that Weir put there for a field of the object.
#[test]
fn what_such_a_patch_is_about_is_no_finding() {
    let work = patched("patches: [{path: patch.yaml, target: {name: a}}]");
    let findings = json(work.path(), &["lint"], 0);
    assert_eq!(findings["findings"], serde_json::json!([]), "{findings:#}");
}

#[test]
fn a_build_says_which_patch_could_not_be_read() {
    let work = patched("patches: [{path: patch.yaml, target: {name: a}}]");
    work.write(
        "clusters/one/apps.yaml",
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: apps, namespace: flux-system}\n\
         spec: {interval: 1m, prune: true, path: ./envs/one, decryption: {provider: sops}, sourceRef: {kind: GitRepository, name: flux-system}}\n",
    );
    let arguments = ["build", "--kustomization", "clusters/one/apps.yaml#apps"];
    let out = printed(work.path(), &arguments, 0);
    let field = "encryptedPatches:\n  envs-one-patch.yaml: '(known after apply: encrypted in envs/one/patch.yaml)'";
    assert_eq!(out.matches(field).count(), 1, "{out}");
    assert!(
        out.contains("name: a") && out.contains("size: small"),
        "{out}"
    );
}

/// A cluster whose Kustomization takes what it is given, as a controller with strict substitution would refuse it.
fn with_map(data: &str, from: &str) -> weir_tests::Repository {
    let work = repository();
    work.write(
        "clusters/one/apps.yaml",
        kustomization("apps", "./envs/one", from),
    )
    .write("envs/one/kustomization.yaml", "resources: [map.yaml]\n")
    .write("envs/one/map.yaml", map("map", data));
    work.commit("first");
    work
}

#[test]
fn a_variable_that_nothing_sets_is_not_known_and_stops_nothing() {
    let from = "  postBuild: {substitute: {known: here}}\n";
    let work = with_map("{a: '${known}', b: '${lost}', c: one}", from);
    let apps = ["build", "--kustomization", "clusters/one/apps.yaml#apps"];
    let out = printed(work.path(), &apps, 0);
    let unknown = "b: '(known after apply: ${lost}, which nothing sets)'";
    assert!(out.contains("a: here") && out.contains(unknown), "{out}");
    let between = ["plan", "--from", "main~1", "--to", "main"];
    work.write(
        "envs/one/map.yaml",
        map("map", "{a: '${known}', b: '${lost}', c: two}"),
    );
    work.commit("second");
    let text = printed(work.path(), &between, 2);
    assert!(text.contains("~ data.c: one → two"), "{text}");
    assert!(!text.contains("data.b"), "the same variable: {text}");
    // The source that may set it is another one: nobody knows whether the value is.
    let other =
        "  postBuild: {substitute: {known: here}, substituteFrom: [{kind: Secret, name: facts}]}\n";
    work.write(
        "clusters/one/apps.yaml",
        kustomization("apps", "./envs/one", other),
    );
    work.commit("third");
    let text = printed(work.path(), &between, 2);
    assert!(text.contains("? data.b: may change: "), "{text}");
    assert!(!text.contains("~ data"), "{text}");
}

/// A generator whose file becomes encrypted, or stops being so, makes neither a new object nor a lost one.
#[test]
fn a_generator_that_becomes_unknown_is_paired_with_what_it_was() {
    let work = repository();
    let from = "  decryption: {provider: sops}\n";
    let sealed = "KEY=ENC[AES256_GCM,data:x,iv:a,tag:b,type:str]\nsops_mac=ENC[AES256_GCM,data:c,iv:d,tag:e,type:str]\n";
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: pod}\nspec: {containers: [{name: a, image: a, envFrom: [{secretRef: {name: settings}}]}]}\n";
    work.write(
        "clusters/one/apps.yaml",
        kustomization("apps", "./envs/one", from),
    )
    .write(
        "envs/one/kustomization.yaml",
        "resources: [pod.yaml]\nsecretGenerator: [{name: settings, envs: [settings.env]}]\n",
    )
    .write("envs/one/pod.yaml", pod)
    .write("envs/one/settings.env", "KEY=plain\n");
    work.commit("plain");
    work.write("envs/one/settings.env", sealed);
    work.commit("encrypted");
    work.write("envs/one/settings.env", "KEY=plain\n");
    work.commit("plain again");
    for (from, to) in [("main~2", "main~1"), ("main~1", "main")] {
        let plan = json(work.path(), &["plan", "--from", from, "--to", to], 2);
        for (count, number) in [("add", 0), ("prune", 0), ("mayChange", 2), ("change", 0)] {
            assert_eq!(plan["counts"][count], number, "{count} {plan:#}");
        }
        let text = printed(work.path(), &["plan", "--from", from, "--to", to], 2);
        assert!(text.contains("settings-(unknown)"), "{text}");
        assert!(text.contains("settings-***"), "{text}");
        let line = "? spec.containers[a].envFrom[0].secretRef.name: may change: settings-";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("? data.KEY: *** may change"), "{text}");
    }
}

/// Unknown values are equal where they come of the same ciphertext at the same path, and nowhere else.
#[test]
fn ciphertexts_are_equal_by_path_and_content() {
    let from = "  decryption: {provider: sops}\n";
    let work = with_map("{a: b}", from);
    let list = |file: &str| format!("resources: [map.yaml, {file}]\n");
    let values = [("one", "same"), ("two", "same")];
    work.write("envs/one/kustomization.yaml", list("sealed.yaml"))
        .write("envs/one/sealed.yaml", sealed("keys", &values));
    work.commit("sealed");
    let between = ["plan", "--from", "main~1", "--to", "main"];
    // One of the two leaves of a ciphertext becomes another one.
    let values = [("one", "same"), ("two", "other")];
    work.write("envs/one/sealed.yaml", sealed("keys", &values));
    work.commit("one value");
    let text = printed(work.path(), &between, 2);
    assert!(
        text.contains("? stringData.two: *** may change") && !text.contains("stringData.one"),
        "{text}"
    );
    // The same ciphertexts in another file may be of another key.
    work.git(&["mv", "envs/one/sealed.yaml", "envs/one/moved.yaml"]);
    work.write("envs/one/kustomization.yaml", list("moved.yaml"));
    work.commit("moved");
    let text = printed(work.path(), &between, 2);
    for leaf in ["one", "two"] {
        let line = format!("? stringData.{leaf}: *** may change (known after apply: ");
        assert!(text.contains(&line), "{text}");
    }
}

/// A variable that comes of a Secret goes through the Kustomizations that hand it on, and is shown by none.
#[test]
fn secret_variables_are_handed_on_and_not_shown() {
    let work = repository();
    let facts = |word: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: facts, namespace: flux-system}}\nstringData: {{pw: {word}}}\n"
        )
    };
    let from = "  postBuild: {substituteFrom: [{kind: Secret, name: facts}]}\n";
    let inline = "  postBuild: {substitute: {word: '${pw}', size: one}}\n";
    work.write(
        "clusters/one/platform.yaml",
        kustomization("platform", "./platform", from),
    )
    .write("clusters/one/facts.yaml", facts("first"))
    .write(
        "platform/apps.yaml",
        kustomization("apps", "./envs/one", inline),
    )
    .write(
        "envs/one/map.yaml",
        map("map", "{url: 'me:${word}@${size}'}"),
    );
    work.commit("first");
    work.write("clusters/one/facts.yaml", facts("second"));
    let text = printed(work.path(), &["plan", "--from", "main"], 2);
    for line in [
        "~ stringData.pw: *** changed",
        "~ spec.postBuild.substitute.word: *** changed",
        "~ data.url: *** changed",
    ] {
        assert!(text.lines().any(|it| it.trim() == line), "{line}: {text}");
    }
    assert!(
        !text.contains("first") && !text.contains("second"),
        "{text}"
    );
}
