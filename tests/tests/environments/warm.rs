//! `weir affected` with what it remembers says what it says without: for changes of content and of form, and when what
//! it remembers is damaged.

use std::fs;
use std::path::Path;

use weir_tests::{Repository, Weir};

use crate::said::{kustomization, map, repository, sealed};

const CLUSTERS: [&str; 4] = ["ap", "eu", "sa", "us"];

/// A change, and what it is.
type Change = (&'static str, fn(&Repository));

const CHANGES: [Change; 19] = [
    ("an environment's own file", |work| {
        work.write("envs/eu/own.yaml", map("own", "{a: changed}"));
    }),
    ("a file of the stage", |work| {
        work.write("stages/prod/map.yaml", map("shared", "{a: changed}"));
    }),
    ("a field comes to a file of the stage", |work| {
        let more = map("shared", "{a: '${domain}', b: c}");
        work.write("stages/prod/map.yaml", more);
    }),
    ("a file of the stage, and one of an environment", |work| {
        let more = map("shared", "{a: '${domain}', b: c}");
        work.write("stages/prod/map.yaml", more);
        work.write("envs/eu/own.yaml", map("own", "{a: changed}"));
    }),
    ("what all share takes no more variables", |work| {
        let off = "name: host, annotations: {kustomize.toolkit.fluxcd.io/substitute: disabled}";
        let text = map("host", "{a: 'x.${domain}'}").replace("name: host", off);
        work.write("platform/host.yaml", text);
    }),
    ("a kustomization that takes in the same", |work| {
        work.write(
            "envs/us/kustomization.yaml",
            "resources: [../../stages/prod, own.yaml]\nnamePrefix: x-\n",
        );
    }),
    ("a file that nothing is made of", |work| {
        work.write("README.md", "other words\n");
    }),
    ("a fact of one cluster", |work| {
        work.write("clusters/sa/facts.yaml", facts("sa.example.org"));
    }),
    ("an option is added", |work| {
        work.write(
            "envs/ap/kustomization.yaml",
            "resources: [../../stages/prod, own.yaml]\ncomponents: [../../option]\n",
        );
    }),
    ("what all share, without variables", |work| {
        work.write("platform/plain.yaml", map("plain", "{a: changed}"));
    }),
    ("what all share, with variables", |work| {
        work.write("platform/host.yaml", map("host", "{a: 'y.${domain}'}"));
    }),
    ("an expression comes to what all share", |work| {
        work.write("platform/plain.yaml", map("plain", "{a: '${domain}'}"));
    }),
    ("what all share is built anew", |work| {
        work.write("platform/plain.yaml", map("plain", "{a: b} # the same"));
    }),
    (
        "what all share holds a value that is a secret of one",
        |work| {
            work.write("platform/plain.yaml", map("plain", "{a: a-long-password}"));
        },
    ),
    ("what all share brings more", |work| {
        let more = kustomization("more", "./envs/nobody", "");
        work.write(
            "platform/plain.yaml",
            map("plain", "{a: b}") + "---\n" + &more,
        );
    }),
    ("what a generator makes is not known", |work| {
        work.write("envs/us/key.bin.enc", encrypted("other"));
    }),
    ("a cluster turns to another environment", |work| {
        work.write("clusters/eu/apps.yaml", apps("us"));
    }),
    ("a new cluster", |work| {
        write_cluster(work, "new");
    }),
    ("a cluster goes", |work| {
        work.remove("clusters/ap");
    }),
];

fn apps(name: &str) -> String {
    let rest = "  decryption: {provider: sops}\n  postBuild: {substituteFrom: [{kind: ConfigMap, name: facts}]}\n";
    kustomization("apps", &format!("./envs/{name}"), rest)
}

fn facts(domain: &str) -> String {
    map("facts", &format!("{{domain: {domain}}}"))
        .replace("name: facts", "name: facts, namespace: flux-system")
}

/// A file that is encrypted as a whole.
fn encrypted(content: &str) -> String {
    format!(
        "{{\"data\": \"ENC[AES256_GCM,data:{content}]\", \"sops\": {{\"mac\": \"ENC[AES256_GCM,data:two]\"}}}}"
    )
}

fn write_cluster(work: &Repository, name: &str) {
    work.write(&format!("clusters/{name}/apps.yaml"), apps(name));
    work.write(
        &format!("clusters/{name}/facts.yaml"),
        facts(&format!("{name}.example.com")),
    );
    let rest = "  postBuild: {substituteFrom: [{kind: ConfigMap, name: facts}]}\n";
    work.write(
        &format!("clusters/{name}/platform.yaml"),
        kustomization("platform", "./platform", rest),
    );
    work.write(
        &format!("envs/{name}/kustomization.yaml"),
        "resources: [../../stages/prod, own.yaml]\n",
    );
    work.write(
        &format!("envs/{name}/own.yaml"),
        map("own", "{host: 'a.${domain}'}"),
    );
}

fn fleet() -> Repository {
    let work = repository();
    CLUSTERS.iter().for_each(|name| write_cluster(&work, name));
    work.write(
        "stages/prod/kustomization.yaml",
        "resources: [map.yaml, secret.yaml]\n",
    );
    work.write("stages/prod/map.yaml", map("shared", "{a: '${domain}'}"));
    work.write(
        "stages/prod/secret.yaml",
        sealed("keys", &[("token", "sealed")]),
    );
    work.write(
        "option/kustomization.yaml",
        "kind: Component\ncommonAnnotations: {option: 'on'}\n",
    );
    work.write(
        "platform/kustomization.yaml",
        "resources: [plain.yaml, host.yaml]\n",
    );
    work.write("platform/plain.yaml", map("plain", "{a: b}"));
    work.write("platform/host.yaml", map("host", "{a: 'x.${domain}'}"));
    work.write(
        "envs/sa/own.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: own}\nstringData: {a: a-long-password}\n",
    );
    work.write(
        "envs/us/kustomization.yaml",
        "resources: [../../stages/prod, own.yaml, pod.yaml]\nsecretGenerator: [{name: keys, files: [key.bin.enc]}]\n",
    );
    work.write("envs/us/key.bin.enc", encrypted("one"));
    work.write(
        "envs/us/pod.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: pod}\nspec: {volumes: [{name: keys, secret: {secretName: keys}}]}\n",
    );
    work.write("envs/nobody/kustomization.yaml", "resources: [map.yaml]\n");
    work.write("envs/nobody/map.yaml", map("nobody", "{a: b}"));
    work.write("README.md", "words\n");
    work.commit("the fleet");
    work
}

/// Exit code and output with a cache of its own.
fn affected(work: &Repository, cache: &Path, more: &[&str]) -> (Option<i32>, String) {
    let output = Weir::command()
        .args(["affected", "--from", "main~1", "--to", "main", "-o", "json"])
        .args(more)
        .env("XDG_CACHE_HOME", cache)
        .current_dir(work.path())
        .output()
        .unwrap();
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

fn pieces(cache: &Path) -> Vec<std::path::PathBuf> {
    let listed = fs::read_dir(cache.join("weir")).into_iter().flatten();
    listed.map(|entry| entry.unwrap().path()).collect()
}

/// Changes of what environments share that have a patch, an object and a value of their own each.
const SHARED_CHANGES: [Change; 8] = [
    ("an object that nobody patches", |work| {
        work.write("stages/prod/map.yaml", map("plain", "{a: changed}"));
    }),
    (
        "an object that all patch, one of them what changes",
        |work| {
            work.write("stages/prod/app.yaml", app("2"));
        },
    ),
    ("a patch of the stage that one overrides", |work| {
        work.write("stages/prod/patch.yaml", app("3"));
    }),
    ("all images of the stage", |work| {
        let list = stage_list("images: [{name: example.com/app, newTag: '9'}]\n");
        work.write("stages/prod/kustomization.yaml", list);
    }),
    ("a generated name that one refers to", |work| {
        work.write("stages/prod/app.conf", "a = 2\n");
    }),
    ("an option that all add", |work| {
        let option = "kind: Component\ncommonAnnotations: {option: 'off'}\n";
        work.write("option/kustomization.yaml", option);
    }),
    ("an object comes", |work| {
        let more = map("plain", "{a: b}") + "---\n" + &map("more", "{a: b}");
        work.write("stages/prod/map.yaml", more);
    }),
    (
        "an object that nobody patches, and one's own file",
        |work| {
            work.write("stages/prod/map.yaml", map("plain", "{a: changed}"));
            work.write("envs/us/own.yaml", map("own", "{a: changed}"));
        },
    ),
];

fn app(tag: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: app}}\n\
         spec: {{template: {{spec: {{containers: [{{name: app, image: 'example.com/app:{tag}'}}]}}}}}}\n"
    )
}

fn stage_list(more: &str) -> String {
    format!(
        "resources: [app.yaml, map.yaml]\npatches: [{{path: patch.yaml}}]\n\
         configMapGenerator: [{{name: settings, files: [app.conf]}}]\n{more}"
    )
}

/// Environments of a stage that differ in what their own files say: `us` sets the image itself, `sa` names the settings.
fn siblings() -> Repository {
    let work = repository();
    for name in CLUSTERS {
        write_cluster(&work, name);
        work.write(
            &format!("envs/{name}/kustomization.yaml"),
            "resources: [../../stages/prod, own.yaml]\ncomponents: [../../option]\npatches: [{path: patch.yaml}]\n",
        );
        work.write(
            &format!("envs/{name}/own.yaml"),
            map("own", &format!("{{host: '{name}'}}")),
        );
        let patch = match name {
            "us" => app("own"),
            "sa" => app("1").replace(
                "image:",
                "envFrom: [{configMapRef: {name: settings}}], image:",
            ),
            _ => format!(
                "{}  replicas: {}\n",
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: app}\nspec:\n",
                name.len()
            ),
        };
        work.write(&format!("envs/{name}/patch.yaml"), patch);
    }
    work.write("stages/prod/kustomization.yaml", stage_list(""))
        .write("stages/prod/app.yaml", app("1"))
        .write("stages/prod/map.yaml", map("plain", "{a: b}"))
        .write("stages/prod/patch.yaml", app("2"))
        .write("stages/prod/app.conf", "a = 1\n")
        .write(
            "option/kustomization.yaml",
            "kind: Component\ncommonAnnotations: {option: 'on'}\n",
        )
        .write("platform/kustomization.yaml", "resources: [plain.yaml]\n")
        .write("platform/plain.yaml", map("plain", "{a: b}"));
    work.commit("the fleet");
    work
}

#[test]
fn what_is_remembered_changes_nothing_that_is_said() {
    said_alike(fleet, &CHANGES);
}

#[test]
fn environments_that_differ_in_their_own_files_are_told_as_they_are() {
    said_alike(siblings, &SHARED_CHANGES);
}

fn said_alike(fleet: fn() -> Repository, changes: &[Change]) {
    for (what, change) in changes {
        let work = fleet();
        change(&work);
        work.commit(what);
        let cache = tempfile::tempdir().unwrap();
        let cold = affected(&work, cache.path(), &["--no-cache"]);
        assert_eq!(pieces(cache.path()).len(), 0, "{what}");
        assert_eq!(
            affected(&work, cache.path(), &[]),
            cold,
            "{what}, the first time"
        );
        let kept = pieces(cache.path());
        assert_eq!(kept.len(), 1, "{what}");
        assert_eq!(
            affected(&work, cache.path(), &[]),
            cold,
            "{what}, remembered"
        );
        let text = fs::read(&kept[0]).unwrap();
        for planted in ["example.com", "sealed", "a-long-password"] {
            let is_in = text
                .windows(planted.len())
                .any(|part| part == planted.as_bytes());
            assert!(!is_in, "contents of files are not kept: {planted}");
        }
        fs::write(&kept[0], &text[..text.len() / 2]).unwrap();
        assert_eq!(affected(&work, cache.path(), &[]), cold, "{what}, damaged");
        assert_eq!(fs::read(&kept[0]).unwrap(), text, "{what}: made again");
    }
}
