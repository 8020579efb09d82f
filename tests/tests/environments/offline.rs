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
    assert!(text.contains("Plan: 1 may change"), "{text}");
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
