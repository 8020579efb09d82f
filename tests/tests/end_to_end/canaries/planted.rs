//! The secrets that are planted, and the search for them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD as BASE64, STANDARD_NO_PAD};
use kube::api::DynamicObject;
use serde_json::json;
use tempfile::TempDir;
use weir_tests::key_service::{seal, vault};
use weir_tests::objects::{deployment, kind, kustomization_file};
use weir_tests::scene::{config_map_kind, deployment_kind};
use weir_tests::{KeyService, Repository, Scene, Weir};

/// The Secret with the age key.
pub(super) const KEYS: &str = "sops-age";

/// The Secret with variables.
pub(super) const SETTINGS: &str = "settings";

/// The places that a secret comes from; each has a value of its own.
const PLACES: [&str; 13] = [
    "file", "config", "patch", "token", "env", "nested", "variable", "mac", "echo", "policy",
    "unset", "served", "denied",
];

pub(super) struct Planted {
    folder: TempDir,
    identity: String,
    /// Holds the data keys of two files, of which it gives one.
    service: KeyService,
}

/// The secret of a place, of this run: shared memory may hold those of another.
pub(super) fn secret(place: &str) -> String {
    format!("{CANARY}{place}-{}", std::process::id())
}

/// Every secret begins so.
pub(super) const CANARY: &str = "Canary-5u9x-";

impl Planted {
    pub(super) fn new(repository: &Repository) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["storage", "temporary", "home", "shared"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let key = folder.path().join("age.agekey");
        weir(&["secrets", "keygen", "-o", key.to_str().unwrap()]);
        let text = fs::read_to_string(&key).unwrap();
        let planted = Self {
            identity: text.lines().last().unwrap().to_owned(),
            folder,
            service: KeyService::start(),
        };
        planted.plant(repository);
        planted
    }

    pub(super) fn storage(&self) -> PathBuf {
        self.folder.path().join("storage")
    }

    pub(super) fn temporary(&self) -> PathBuf {
        self.folder.path().join("temporary")
    }

    pub(super) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub(super) fn key(&self) -> PathBuf {
        self.folder.path().join("age.agekey")
    }

    pub(super) fn recipient(&self) -> String {
        let text = fs::read_to_string(self.key()).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("# public key: "));
        line.unwrap().to_owned()
    }

    /// The Secret with the key, and the token for the key service.
    pub(super) fn keys(&self) -> DynamicObject {
        let values = json!({ "age.agekey": self.identity, "sops.vault-token": vault::TOKEN });
        secret_object(KEYS, values)
    }

    /// What allows the key service.
    pub(super) fn allow(&self) -> String {
        format!("--sops-allow=vault={}/transit/*", self.service.url())
    }

    /// A Secret whose data key the service holds under a name; it answers for one name only.
    fn served(&self, place: &str, key: &str) -> String {
        let plain = format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n    name: {place}\nstringData:\n    password: {}\n",
            secret(place)
        );
        seal(&plain, |data_key| {
            format!(
                "    hc_vault:\n        - vault_address: {}\n          engine_path: transit\n          key_name: {key}\n          created_at: \"2026-01-02T03:04:05Z\"\n          enc: {}\n",
                self.service.url(),
                vault::wrap(data_key)
            )
        })
    }

    /// The Secret with variables.
    pub(super) fn settings(&self) -> DynamicObject {
        secret_object(SETTINGS, json!({ "token": secret("variable") }))
    }

    fn plant(&self, repository: &Repository) {
        let manifest = |kind: &str, name: &str, values: serde_json::Value| {
            let mut object =
                json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": name } });
            for (field, value) in values.as_object().unwrap() {
                object[field] = value.clone();
            }
            object.to_string()
        };
        let of_secret = |place: &str| json!({ "stringData": { "password": secret(place) } });
        leave_in(repository);
        repository
            .write("served/kustomization.yaml", kustomization_file(&["file.yaml"]))
            .write("served/file.yaml", self.served("served", "weir"))
            .write("denied/kustomization.yaml", kustomization_file(&["file.yaml"]))
            .write("denied/file.yaml", self.served("denied", "other"))
            .write("ok/file.yaml", manifest("Secret", "in-file", of_secret("file")))
            .write("ok/config.yaml", manifest("ConfigMap", "in-config", json!({ "data": { "url": secret("config") } })))
            .write("ok/deployment.yaml", deployment("patched", "nginx:1.29", 1))
            .write("ok/patch.yaml", patch("patched", json!({ "env": [{ "name": "TOKEN", "value": secret("patch") }] })))
            .write("ok/token.txt", secret("token"))
            .write("ok/app.env", format!("KEY={}\n", secret("env")))
            .write("ok/nested.txt", secret("nested"))
            .write("ok/variable.yaml", deployment("variable", "nginx:1.29", 1).replace("\"image\"", "\"args\":[\"${token}\"],\"image\""))
            .write("mac/kustomization.yaml", kustomization_file(&["file.yaml"]))
            .write("mac/file.yaml", manifest("Secret", "before", of_secret("mac")))
            .write("echo/kustomization.yaml", format!("{}\n", json!({ "resources": ["deployment.yaml"], "patches": [{ "path": "patch.yaml" }] })))
            .write("echo/deployment.yaml", deployment("echo", "nginx:1.29", 1))
            .write("echo/patch.yaml", patch("echo", json!({ "terminationMessagePolicy": secret("echo") })))
            .write("policy/kustomization.yaml", kustomization_file(&["config.yaml"]))
            .write("policy/config.yaml", manifest("ConfigMap", "in-policy", json!({ "data": { "forbidden": secret("policy") } })))
            .write("unset/kustomization.yaml", kustomization_file(&["file.yaml"]))
            .write("unset/file.yaml", manifest("Secret", "unset", json!({ "stringData": { "password": format!("{}${{nothing}}", secret("unset")) } })));
        for (file, regex) in [
            ("ok/file.yaml", Some("^stringData$")),
            ("ok/config.yaml", Some("^data$")),
            ("ok/patch.yaml", Some("^value$")),
            ("ok/token.txt", None),
            ("ok/app.env", None),
            ("ok/nested.txt", None),
            ("mac/file.yaml", Some("^stringData$")),
            ("echo/patch.yaml", Some("^terminationMessagePolicy$")),
            ("policy/config.yaml", Some("^data$")),
            ("unset/file.yaml", Some("^stringData$")),
        ] {
            self.encrypt(&repository.path().join(file), regex);
        }
        let mac = repository.path().join("mac/file.yaml");
        let altered = fs::read_to_string(&mac).unwrap().replace("before", "after");
        fs::write(mac, altered).unwrap();
        let sealed = fs::read(repository.path().join("ok/nested.txt")).unwrap();
        let nested = json!({ "data": { "file": BASE64.encode(sealed) } });
        repository.write("ok/nested.yaml", manifest("Secret", "in-nested", nested));
        fs::remove_file(repository.path().join("ok/nested.txt")).unwrap();
    }

    fn encrypt(&self, file: &Path, regex: Option<&str>) {
        let (recipient, file) = (self.recipient(), file.to_str().unwrap());
        let mut arguments = vec!["secrets", "encrypt", "--age", &recipient, "-i"];
        arguments.extend(
            regex
                .into_iter()
                .flat_map(|regex| ["--encrypted-regex", regex]),
        );
        arguments.push(file);
        weir(&arguments);
    }

    /// Asserts that the secrets of the folder that works are in the cluster: otherwise nothing would be shown.
    pub(super) async fn reached(&self, scene: &Scene) {
        let secret_kind = kind("", "v1", "Secret");
        let file = scene.get(&secret_kind, "in-file").await;
        assert_eq!(file.data["data"]["password"], BASE64.encode(secret("file")));
        let nested = scene.get(&secret_kind, "in-nested").await;
        assert_eq!(nested.data["data"]["file"], BASE64.encode(secret("nested")));
        let served = scene.get(&secret_kind, "served").await;
        let password = BASE64.encode(secret("served"));
        assert_eq!(served.data["data"]["password"], password);
        let generated = scene.get(&secret_kind, "generated").await;
        assert_eq!(generated.data["data"]["KEY"], BASE64.encode(secret("env")));
        assert_eq!(
            generated.data["data"]["token.txt"],
            BASE64.encode(secret("token"))
        );
        let config = scene.get(&config_map_kind(), "in-config").await;
        assert_eq!(config.data["data"]["url"], secret("config"));
        for (name, field, place) in [
            ("patched", "env", "patch"),
            ("variable", "args", "variable"),
        ] {
            let object = scene.get(&deployment_kind(), name).await;
            let container = &object.data["spec"]["template"]["spec"]["containers"][0];
            assert!(
                container[field].to_string().contains(&secret(place)),
                "{container}"
            );
        }
    }

    /// Asserts that a text has none of the secrets, in whatever form.
    pub(super) fn absent(&self, place: &str, text: &str) {
        if let Some(name) = found(&self.identity, text) {
            panic!("{place} shows the secret of {name}:\n{text}");
        }
    }

    /// The same of every file of a folder.
    pub(super) fn absent_in_folder(&self, folder: &Path) {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.absent_in_folder(&path);
            } else if path.is_file() && path != self.key() {
                // Others may take their files out of shared memory at this moment.
                let Ok(bytes) = fs::read(&path) else { continue };
                self.absent(
                    &path.display().to_string(),
                    &String::from_utf8_lossy(&bytes),
                );
            }
        }
    }

    /// The same of every file of a compressed archive.
    pub(super) fn absent_in_archive(&self, archive: &[u8]) {
        use std::io::Write;
        let mut tar = Command::new("tar");
        let tar = tar
            .args(["-xzO"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = tar.spawn().unwrap();
        let mut input = process.stdin.take().unwrap();
        let archive = archive.to_vec();
        let writer = std::thread::spawn(move || input.write_all(&archive));
        let output = process.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("ENC["), "the artifact has no files");
        self.absent("the artifact", &text);
    }
}

/// Whose secret a text shows.
fn found(identity: &str, text: &str) -> Option<&'static str> {
    let mut forms = forms(identity).into_iter();
    forms.find_map(|(name, form)| text.contains(&form).then_some(name))
}

/// The secrets as they are, in base64 wherever they stand in a larger text, the private key and the token.
fn forms(identity: &str) -> Vec<(&'static str, String)> {
    let token = vault::TOKEN.to_owned();
    let mut forms = vec![("the key", identity.to_owned()), ("the token", token)];
    for place in PLACES {
        let secret = secret(place);
        for shift in 0..3 {
            let encoded = STANDARD_NO_PAD.encode(format!("{}{secret}", "x".repeat(shift)));
            // The first and the last letter depend on what stands beside.
            forms.push((place, encoded[shift * 2..encoded.len() - 2].to_owned()));
        }
        forms.push((place, secret));
    }
    forms
}

#[test]
fn the_search_finds_what_is_shown() {
    let identity = "AGE-SECRET-KEY-1TEST";
    assert_eq!(found(identity, "nothing: ***"), None);
    assert_eq!(found(identity, &format!("a {identity} b")), Some("the key"));
    assert_eq!(found(identity, vault::TOKEN), Some("the token"));
    for place in PLACES {
        let secret = secret(place);
        let json = json!({ "message": format!("not allowed: {secret}!") }).to_string();
        let beside =
            ["", "a", "ab"].map(|before| BASE64.encode(format!("{before}{secret}: and more")));
        for text in [secret.clone(), json, format!("\"{secret}\\n\"")]
            .iter()
            .chain(&beside)
        {
            assert_eq!(found(identity, text), Some(place), "{text}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deep/file");
    fs::create_dir(folder.path().join("deep")).unwrap();
    fs::write(file, secret("env")).unwrap();
    let planted = Planted {
        identity: identity.to_owned(),
        folder: tempfile::tempdir().unwrap(),
        service: KeyService::start(),
    };
    let search = || planted.absent_in_folder(folder.path());
    let leak = std::panic::catch_unwind(std::panic::AssertUnwindSafe(search));
    assert!(leak.is_err(), "a file with a secret goes by");
}

/// The kustomization file of the folder that works, with everything.
fn leave_in(repository: &Repository) {
    let file = json!({
        "resources": ["file.yaml", "config.yaml", "deployment.yaml", "nested.yaml", "variable.yaml"],
        "patches": [{ "path": "patch.yaml" }],
        "secretGenerator": [{ "name": "generated", "files": ["token.txt"], "envs": ["app.env"] }],
        "generatorOptions": { "disableNameSuffixHash": true },
    });
    repository.write("ok/kustomization.yaml", file.to_string());
}

/// The same without one of its files.
pub(super) fn leave_out(repository: &Repository, name: &str) {
    let path = repository.path().join("ok/kustomization.yaml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, text.replace(&format!("\"{name}\","), "")).unwrap();
}

fn patch(name: &str, mut container: serde_json::Value) -> String {
    container["name"] = json!(name);
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name },
        "spec": { "template": { "spec": { "containers": [container] } } },
    })
    .to_string()
}

fn secret_object(name: &str, values: serde_json::Value) -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": values,
    }))
    .unwrap()
}

/// Runs a command that must succeed.
fn weir(arguments: &[&str]) {
    let output = Weir::command().args(arguments).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {complaint}");
}
