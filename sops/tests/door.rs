//! The one door: wherever the composer reads an encrypted file, it is opened with its MAC checked as stored; nowhere else.

use overlay::{Errors, MemTree, Options, build};
use sops::{Answers, Format, Keyring, MacPolicy, Opener, Recipe, Recipient, Rule, Time};

const CANARY: &str = "canary-7f3a";

struct Repository {
    tree: MemTree,
    keyring: Keyring,
    recipe: Recipe,
}

impl Repository {
    fn new() -> Self {
        let key = sops::generate(false).expect("a key");
        let mut keyring = Keyring::default();
        keyring.add(&key.identity).expect("the key that was made");
        let recipient = key.recipient;
        let recipe = Recipe {
            groups: vec![vec![Recipient::Age { recipient }]],
            rule: Rule::EncryptedRegex("^(data|stringData)$".to_owned()),
            ..Recipe::default()
        };
        Self {
            tree: MemTree::new(),
            keyring,
            recipe,
        }
    }

    fn plain(&mut self, path: &str, text: &str) -> &mut Self {
        self.tree.insert(path, text.as_bytes());
        self
    }

    fn sealed(&self, format: Format, text: &str) -> Vec<u8> {
        let mut recipe = self.recipe.clone();
        if format != Format::Yaml {
            recipe.rule = Rule::default();
        }
        let now = Time::parse_rfc3339("2024-05-06T07:08:09Z").expect("a time");
        sops::encrypt(text.as_bytes(), format, &recipe, &self.keyring, now).expect("encrypts")
    }

    fn encrypted(&mut self, path: &str, format: Format, text: &str) -> &mut Self {
        let sealed = self.sealed(format, text);
        self.tree.insert(path, sealed);
        self
    }

    /// The manifests in the clear, the masked ones, and the warnings.
    fn built(&self, path: &str) -> Result<(String, String, Vec<String>), Errors> {
        let answers = Answers::new();
        let opener = Opener::new(&self.keyring, &answers, MacPolicy::Error);
        let options = Options {
            opener: Some(&opener),
            ..Options::default()
        };
        let mut built = build(&self.tree, path, &options)?;
        for object in &mut built.objects {
            opener.open_secret_values(&mut object.node, "")?;
        }
        let nodes: Vec<_> = built.objects.iter().map(|object| &object.node).collect();
        let clear = overlay::yaml::write_documents_revealed(&nodes).to_string();
        let warnings = built.warnings.iter().map(ToString::to_string).collect();
        Ok((clear, built.to_yaml(), warnings))
    }

    fn stored(&self, path: &str) -> String {
        let built = build(&self.tree, path, &Options::default()).expect("builds");
        built.to_yaml()
    }

    /// Builds, and asserts that the value is there in the clear, and nowhere when masked.
    fn holds(&self, path: &str, wanted: &str) {
        let (clear, masked, _) = self.built(path).expect("builds");
        assert!(clear.contains(wanted), "{wanted:?} is not in:\n{clear}");
        assert!(!clear.contains("ENC["), "{clear}");
        assert!(
            !masked.contains(wanted) && masked.contains("***"),
            "{masked}"
        );
    }
}

fn secret(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n    name: {name}\nstringData:\n    password: {CANARY}\n"
    )
}

/// Base64 of the canary, and of lines that hold it.
const ENCODED: &str = "Y2FuYXJ5LTdmM2E=";

#[test]
fn resources_open_whatever_their_ending() {
    for name in [
        "s.yaml",
        "s.yaml.encrypted",
        "s.yaml.enc",
        "s.yml.sops",
        "s.sops",
        "s.enc",
    ] {
        let mut repository = Repository::new();
        repository
            .plain("kustomization.yaml", &format!("resources: [{name}]\n"))
            .encrypted(name, Format::Yaml, &secret("s"));
        repository.holds("", CANARY);
    }
}

#[test]
fn patches_open() {
    for list in [
        "patches: [{path: p.yaml}]",
        "patchesStrategicMerge: [p.yaml]",
    ] {
        let mut repository = Repository::new();
        repository
            .plain("kustomization.yaml", &format!("resources: [s.yaml]\n{list}\n"))
            .plain(
                "s.yaml",
                "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: old, user: u}\n",
            )
            .encrypted("p.yaml", Format::Yaml, &secret("s"));
        repository.holds("", CANARY);
        assert!(!repository.built("").expect("builds").0.contains("sops:"));
    }
}

#[test]
fn inputs_of_secret_generators_open() {
    for (entry, format, text, wanted) in [
        ("files: [value.txt]", Format::Binary, CANARY, ENCODED),
        ("files: [key=value.txt]", Format::Binary, CANARY, ENCODED),
        (
            "files: [a.yaml=value.txt]",
            Format::Yaml,
            "data: canary-7f3a\n",
            "ZGF0YTogY2FuYXJ5LTdmM2EK",
        ),
        (
            "files: [.dockerconfigjson=value.txt]",
            Format::Json,
            "{\"a\": \"canary-7f3a\"}",
            "ewoJImEiOiAiY2FuYXJ5LTdmM2EiCn0K",
        ),
        (
            "envs: [value.txt]",
            Format::Dotenv,
            "key=canary-7f3a\n",
            ENCODED,
        ),
        (
            "env: value.txt",
            Format::Dotenv,
            "key=canary-7f3a\n",
            ENCODED,
        ),
    ] {
        let mut repository = Repository::new();
        let file = format!("secretGenerator:\n- name: s\n  {entry}\n");
        repository
            .plain("kustomization.yaml", &file)
            .encrypted("value.txt", format, text);
        repository.holds("", wanted);
    }
}

#[test]
fn names_with_a_wrapper_take_the_format_inside() {
    for (name, format, text, wanted) in [
        (
            "app.env.encrypted",
            Format::Dotenv,
            "key=canary-7f3a\n",
            "a2V5PWNhbmFyeS03ZjNhCg==",
        ),
        (
            "app.ini.enc",
            Format::Ini,
            "[a]\nkey = canary-7f3a\n",
            "W2FdCmtleSA9IGNhbmFyeS03ZjNhCg==",
        ),
        ("tls.key.enc", Format::Binary, CANARY, ENCODED),
        ("token.sops", Format::Binary, CANARY, ENCODED),
    ] {
        let mut repository = Repository::new();
        let file = format!("secretGenerator:\n- name: s\n  files: [{name}]\n");
        repository
            .plain("kustomization.yaml", &file)
            .encrypted(name, format, text);
        repository.holds("", wanted);
    }
}

#[test]
fn values_that_are_encrypted_files_open() {
    let mut repository = Repository::new();
    let inner = String::from_utf8(repository.sealed(Format::Dotenv, "key=canary-7f3a\n"));
    let inner: String = inner
        .expect("UTF-8")
        .lines()
        .map(|line| format!("    {line}\n"))
        .collect();
    let manifest = format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nstringData:\n  app.env: |\n{inner}"
    );
    repository
        .plain("kustomization.yaml", "resources: [s.yaml]\n")
        .plain("s.yaml", &manifest);
    repository.holds("", CANARY);

    let mut repository = Repository::new();
    let inner = repository.sealed(Format::Binary, CANARY);
    repository.tree.insert("value", inner);
    repository
        .plain("kustomization.yaml", "resources: [base]\n")
        .plain(
            "base/kustomization.yaml",
            "secretGenerator: [{name: s, files: [token=../value]}]\n",
        );
    let sealed = build(
        &repository.tree,
        "base",
        &Options {
            load_restrictor: overlay::build::LoadRestrictor::None,
            ..Options::default()
        },
    );
    let text = sealed.expect("builds").to_yaml();
    let mut generated = Repository {
        tree: MemTree::new(),
        ..repository
    };
    generated
        .plain("kustomization.yaml", "resources: [s.yaml]\n")
        .plain("s.yaml", &text);
    generated.holds("", ENCODED);
}

#[test]
fn bases_and_components_open() {
    let mut repository = Repository::new();
    repository
        .plain(
            "app/kustomization.yaml",
            "resources: [../base]\ncomponents: [../part]\n",
        )
        .plain("base/kustomization.yaml", "resources: [deeper]\n")
        .plain("base/deeper/kustomization.yaml", "resources: [s.yaml]\n")
        .encrypted("base/deeper/s.yaml", Format::Yaml, &secret("of-base"))
        .plain(
            "part/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [s.yaml]\n",
        )
        .encrypted("part/s.yaml", Format::Yaml, &secret("of-component"));
    let (clear, masked, _) = repository.built("app").expect("builds");
    assert_eq!(clear.matches(CANARY).count(), 2);
    assert!(!masked.contains(CANARY));
}

/// Two documents under one MAC, with all that a build changes: none of it may touch the check.
#[test]
fn two_documents_under_an_overlay_print_as_expected() {
    let mut repository = Repository::new();
    let other = "apiVersion: v1\nkind: Secret\nmetadata:\n    name: second\ndata:\n    token: Y2FuYXJ5LTdmM2E=\n";
    repository
        .plain(
            "app/kustomization.yaml",
            "resources: [../base]\nnamespace: shop\nnamePrefix: eu-\nlabels:\n- pairs: {team: red}\n\
             patches:\n- patch: |\n    apiVersion: v1\n    kind: Secret\n    metadata: {name: first, annotations: {note: plain}}\n\
             \x20   type: kubernetes.io/basic-auth\n    stringData: {user: patched}\n",
        )
        .plain("base/kustomization.yaml", "resources: [secrets.yaml]\n")
        .encrypted(
            "base/secrets.yaml",
            Format::Yaml,
            &format!("{}    user: ada\ntype: Opaque\n---\n{other}", secret("first")),
        );
    let (clear, masked, _) = repository.built("app").expect("builds");
    let expected = |password: &str, token: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  annotations:\n    note: plain\n  labels:\n    team: red\n  \
             name: eu-first\n  namespace: shop\nstringData:\n  password: {password}\n  user: patched\n\
             type: kubernetes.io/basic-auth\n---\napiVersion: v1\ndata:\n  token: {token}\nkind: Secret\n\
             metadata:\n  labels:\n    team: red\n  name: eu-second\n  namespace: shop\n"
        )
    };
    assert_eq!(clear, expected(CANARY, ENCODED));
    let masked = masked.replace("user: '***'", "user: patched");
    assert_eq!(masked, expected("'***'", "'***'"));

    let stored = repository.tree_text("base/secrets.yaml");
    let (first, second) = stored.split_once("\n---\n").expect("two documents");
    repository.plain("base/secrets.yaml", &format!("{second}---\n{first}\n"));
    let error = repository
        .built("app")
        .expect_err("another order")
        .to_string();
    assert!(
        error.contains("base/secrets.yaml") && error.contains("MAC"),
        "{error}"
    );
}

impl Repository {
    fn tree_text(&self, path: &str) -> String {
        use overlay::Tree;
        let bytes = self.tree.read(path).expect("a file");
        String::from_utf8(bytes.to_vec()).expect("UTF-8")
    }
}

#[test]
fn without_a_key_the_stored_ciphertext_prints() {
    let mut repository = Repository::new();
    repository
        .plain("kustomization.yaml", "resources: [s.yaml]\n")
        .encrypted("s.yaml", Format::Yaml, &secret("s"));
    let text = repository.stored("");
    assert!(text.contains("password: ENC[AES256_GCM,") && text.contains("  mac: ENC["));
}

#[test]
fn a_config_map_never_holds_what_a_secret_opens() {
    let mut repository = Repository::new();
    repository
        .plain(
            "kustomization.yaml",
            "configMapGenerator:\n- name: c\n  files: [value.txt]\nsecretGenerator:\n- name: s\n  files: [value.txt]\n",
        )
        .encrypted("value.txt", Format::Binary, CANARY);
    let (clear, masked, warnings) = repository.built("").expect("builds");
    let (map, secret) = clear.split_once("---\n").expect("two objects");
    assert!(
        map.contains("kind: ConfigMap") && map.contains("ENC[AES256_GCM"),
        "{map}"
    );
    assert!(!map.contains(CANARY) && secret.contains(ENCODED));
    assert!(!masked.contains(ENCODED));
    assert!(
        warnings
            .iter()
            .any(|warning| warning.contains("value.txt is encrypted and stays so")),
        "{warnings:?}"
    );
}

#[test]
fn an_object_that_says_so_stays_closed() {
    let annotated = secret("s").replace(
        "    name: s\n",
        "    name: s\n    annotations:\n        kustomize.toolkit.fluxcd.io/decrypt: Disabled\n",
    );
    let mut repository = Repository::new();
    repository
        .plain("kustomization.yaml", "resources: [s.yaml]\n")
        .encrypted("s.yaml", Format::Yaml, &annotated);
    let (clear, _, _) = repository.built("").expect("builds");
    assert!(clear.contains("password: ENC["), "{clear}");
}

#[test]
fn a_wrong_mac_is_an_error_or_a_warning() {
    let mut repository = Repository::new();
    repository
        .plain("kustomization.yaml", "resources: [s.yaml]\n")
        .encrypted("s.yaml", Format::Yaml, &secret("s"));
    let altered = repository
        .tree_text("s.yaml")
        .replace("name: s\n", "name: t\n");
    repository.plain("s.yaml", &altered);
    let error = repository.built("").expect_err("the wrong MAC").to_string();
    assert!(
        error.contains("s.yaml") && !error.contains(CANARY),
        "{error}"
    );

    let answers = Answers::new();
    let opener = Opener::new(&repository.keyring, &answers, MacPolicy::Warn);
    let options = Options {
        opener: Some(&opener),
        ..Options::default()
    };
    build(&repository.tree, "", &options).expect("opens all the same");
    let warnings = opener.warnings();
    assert!(
        warnings.len() == 1 && warnings[0].starts_with("s.yaml: the MAC"),
        "{warnings:?}"
    );
    assert!(opener.warnings().is_empty());
}
