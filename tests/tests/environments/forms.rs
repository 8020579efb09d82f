//! One change with everything in it, in every form of output.

use weir_tests::{Repository, Terminal, Weir};

use crate::golden::same;
use crate::said::{json, kustomization, map, printed, repository, sealed, weir};

const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
        - name: side
          image: example.com/side:1
        - name: shop
          image: example.com/shop:1.4.1
          env: [{name: DOMAIN, value: 'https://${domain}/'}]
          envFrom: [{configMapRef: {name: settings}}, {secretRef: {name: sealed-env}}]
";

/// Two clusters of one stage, one of another, and what they share.
fn before() -> Repository {
    let work = repository();
    for (cluster, stage) in [("eu", "prod"), ("us", "prod"), ("lab", "staging")] {
        let substitute = "  decryption: {provider: sops}\n  postBuild: {substituteFrom: [{kind: Secret, name: facts}]}\n";
        let apps = kustomization("apps", &format!("./envs/{cluster}"), substitute)
            + &kustomization("platform", "./platform", "");
        work.write(&format!("clusters/{cluster}/apps.yaml"), apps)
            .write(
                &format!("envs/{cluster}/kustomization.yaml"),
                format!("namespace: shop\nresources: [../../stages/{stage}, sealed.yaml]\n"),
            );
        work.write(
            &format!("envs/{cluster}/sealed.yaml"),
            sealed("sealed", &[("token", "one"), ("other", "two")]),
        );
    }
    for stage in ["prod", "staging"] {
        work.write(
            &format!("stages/{stage}/kustomization.yaml"),
            "resources: [deployment.yaml, config.yaml, plain.yaml]\n\
             configMapGenerator: [{name: settings, files: [app.conf]}]\n\
             secretGenerator: [{name: sealed-env, envs: [sealed.env]}]\n",
        )
        .write(&format!("stages/{stage}/deployment.yaml"), DEPLOYMENT)
        .write(
            &format!("stages/{stage}/config.yaml"),
            map("config", "{level: info, old: 'yes', text: \"one\\ntwo\\nthree\\n\"}"),
        )
        .write(
            &format!("stages/{stage}/plain.yaml"),
            "apiVersion: v1\nkind: Secret\nmetadata: {name: plain}\nstringData: {password: correct-horse, user: ada}\n",
        )
        .write(&format!("stages/{stage}/app.conf"), "a = 1\nb = 2\n")
        .write(
            &format!("stages/{stage}/sealed.env"),
            "KEY=ENC[AES256_GCM,data:x,iv:a,tag:b,type:str]\nsops_mac=ENC[AES256_GCM,data:c,iv:d,tag:e,type:str]\n",
        );
    }
    work.write(
        "platform/objects.yaml",
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: old}\n---\n".to_owned()
            + &map("going", "{a: b}")
            + "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept, annotations: {kustomize.toolkit.fluxcd.io/prune: disabled}}\n---\n",
    );
    work.commit("before");
    work
}

/// The state after: image, text, generator, secrets, an immutable field, prunes, and texts that mean harm.
fn after(work: &Repository) {
    let deployment = DEPLOYMENT
        .replace("shop:1.4.1", "shop:1.5.0")
        .replace("https://${domain}/", "https://shop.${domain}/");
    let config = map(
        "config",
        "{level: debug, text: \"one\\n2\\nthree\\n\", evil: '```</code><script>alert(1)</script> @team |'}",
    );
    work.write("stages/prod/deployment.yaml", &deployment)
        .write("stages/prod/config.yaml", config)
        .write("stages/prod/app.conf", "a = 1\nb = 3\n")
        .write(
            "stages/prod/plain.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: plain}\nstringData: {password: battery-staple, user: ada}\n",
        );
    work.write(
        "stages/staging/deployment.yaml",
        DEPLOYMENT.replace("app: shop", "app: shop2"),
    );
    work.write(
        "envs/lab/sealed.yaml",
        sealed("sealed", &[("token", "three"), ("other", "two")]),
    );
    work.write(
        "platform/objects.yaml",
        "apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {name: new}\n",
    );
    work.commit("after");
}

fn changed() -> Repository {
    let work = before();
    after(&work);
    work
}

const SIDES: [&str; 5] = ["plan", "--from", "main~1", "--to", "main"];

fn plan(work: &Repository, more: &[&str]) -> String {
    printed(work.path(), &[&SIDES[..], more].concat(), 3)
}

#[test]
fn every_form_of_output_is_as_it_was() {
    let work = changed();
    for (file, arguments) in [
        ("plan.txt", &[][..]),
        ("short.txt", &["--short"]),
        ("stat.txt", &["--stat"]),
        ("plan.json", &["-o", "json"]),
        ("plan.md", &["-o", "markdown"]),
        ("plan.html", &["-o", "html"]),
        ("environment.txt", &["lab"]),
        ("stage.txt", &["prod", "--stat"]),
        ("path.txt", &["platform", "--short"]),
        ("kustomization.txt", &["flux-system/platform", "--stat"]),
    ] {
        let text = plan(&work, arguments);
        assert!(!text.contains('\u{1b}'), "no colours where nobody looks");
        for secret in ["correct-horse", "battery-staple", "ENC[", "unknown0"] {
            assert!(!text.contains(secret), "{secret} in {file}");
        }
        same(file, &text);
        assert_eq!(plan(&work, arguments), text, "twice the same");
    }
}

/// A text as one reads it.
fn without_colours(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.split_once('m').map_or("", |(_, rest)| rest)
    })
}

#[test]
fn colours_are_for_terminals_and_for_those_who_ask() {
    let work = changed();
    let red = "\u{1b}[31m- Namespace old";
    let text = plan(&work, &["--color", "always"]);
    assert!(text.contains(red), "{text}");
    let on_terminal = |arguments: &[&str], no_color: Option<&str>| {
        let mut command = Weir::command();
        command
            .current_dir(work.path())
            .args(SIDES)
            .args(arguments)
            .envs(no_color.map(|value| ("NO_COLOR", value)));
        Terminal::start(command, 100, 30).written()
    };
    let drawn = on_terminal(&[], None);
    assert!(drawn.contains(red), "{drawn}");
    // The same text, but for the colours.
    let bare = plan(&work, &[]).replace('\n', "\r\n");
    assert_eq!(without_colours(&drawn), bare);
    for (arguments, no_color) in [(&["--color", "never"][..], None), (&[], Some("1"))] {
        assert_eq!(on_terminal(arguments, no_color), bare, "{arguments:?}");
    }
    for form in ["json", "markdown", "html"] {
        let drawn = on_terminal(&["-o", form], None);
        assert!(!drawn.contains('\u{1b}'), "{drawn}");
    }
}

#[test]
fn exit_codes_tell_changes_from_deletions_and_errors() {
    let work = before();
    let code = |work: &Repository| weir(work.path(), &["plan", "--from", "main"]).code;
    assert_eq!(code(&work), 0);
    work.write("stages/prod/app.conf", "a = 2\n");
    assert_eq!(code(&work), 2);
    work.write("platform/objects.yaml", map("going", "{a: b}"));
    assert_eq!(code(&work), 3);
    work.write("stages/prod/config.yaml", "kind: [");
    let said = weir(work.path(), &["plan", "--from", "main"]);
    assert_eq!(said.code, 1);
    assert!(
        said.out.starts_with("eu, us  (stage prod)\n"),
        "they keep their names: {}",
        said.out
    );
    assert!(said.out.contains("does not build any more"), "{}", said.out);
    assert!(said.out.contains("stages/prod/config.yaml"), "{}", said.out);
    assert!(
        !said.out.contains("- ConfigMap shop/config"),
        "nothing of what broke is pruned: {}",
        said.out
    );
    work.write(
        "clusters/eu/bad.yaml",
        kustomization("bad", "./stages/prod", "  components:\n"),
    );
    let said = weir(work.path(), &["plan", "--from", "main"]);
    assert_eq!(said.code, 1);
    let field = "its spec.components cannot be read: ";
    assert!(said.out.contains(field), "{}", said.out);
    for wrong in [
        &["plan", "--from", "nowhere"][..],
        &["plan", "--from", "main", "prdo"],
        &["plan", "--such"],
    ] {
        assert_eq!(weir(work.path(), wrong).code, 1, "{wrong:?}");
    }
}

#[test]
fn hostile_texts_are_inert_on_the_page_and_in_the_comment() {
    let work = changed();
    let page = plan(&work, &["-o", "html"]);
    assert!(
        page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"),
        "{page}"
    );
    assert_eq!(page.matches("<script>").count(), 1, "only its own");
    assert!(
        !page.contains("src=") && !page.contains("href="),
        "it asks nobody for anything"
    );
    let comment = plan(&work, &["-o", "markdown"]);
    assert!(comment.starts_with("<!-- weir plan -->\n"));
    assert!(
        comment.contains("````diff\n"),
        "a fence longer than what is in it: {comment}"
    );
    let harmful = comment
        .lines()
        .find(|line| line.contains("alert(1)"))
        .unwrap();
    let before = &comment[..comment.find(harmful).unwrap()];
    assert_eq!(before.matches("````").count() % 2, 1, "inside a fence");
}

#[test]
fn a_comment_fits_where_it_is_posted() {
    let work = before();
    for number in 0..700 {
        let name = format!("config-{number}");
        work.write(&format!("platform/{name}.yaml"), map(&name, "{a: b}"));
    }
    work.commit("many");
    for number in 0..700 {
        let name = format!("config-{number}");
        let long = "x".repeat(200);
        work.write(
            &format!("platform/{name}.yaml"),
            map(&name, &format!("{{a: {long}}}")),
        );
    }
    let comment = printed(
        work.path(),
        &["plan", "--from", "main", "-o", "markdown"],
        2,
    );
    assert!(comment.len() <= 65_000, "{}", comment.len());
    assert!(
        comment.contains("fields are left out") && comment.contains("config-699"),
        "{comment}"
    );
    assert!(!comment.contains("xxxx"));

    // More still: the table of environments stays.
    for number in 700..2_500 {
        let name = format!("config-{number}");
        work.write(&format!("platform/{name}.yaml"), map(&name, "{a: b}"));
    }
    let comment = printed(
        work.path(),
        &["plan", "--from", "main", "-o", "markdown"],
        2,
    );
    assert!(
        comment.contains("| <code>eu</code> | prod | 1800 | 700 |")
            && comment.contains("`weir plan -o html` makes a page of it"),
        "{comment}"
    );
    assert!(!comment.contains("config-"), "{comment}");
}

#[test]
fn the_document_for_programs_has_what_its_schema_says() {
    let work = changed();
    let plan = json(work.path(), &SIDES, 3);
    assert_eq!(plan["schema"], "weir.plan/v1");
    assert_eq!(
        (plan["from"].as_str(), plan["to"].as_str()),
        (Some("main~1"), Some("main"))
    );
    let names: Vec<&str> = plan["environments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["eu", "lab", "us"]);
    let lab = &plan["environments"][1];
    let counts = &lab["counts"];
    assert_eq!(
        (&counts["replace"], &counts["mayChange"]),
        (&1.into(), &1.into()),
        "{counts}"
    );
    let objects = lab["kustomizations"][0]["objects"].as_array().unwrap();
    let replaced = objects
        .iter()
        .find(|object| object["kind"] == "Deployment")
        .unwrap();
    assert_eq!(
        replaced["immutableFields"],
        serde_json::json!(["spec.selector.matchLabels.app"])
    );
    let sealed = objects
        .iter()
        .find(|object| object["name"] == "sealed")
        .unwrap();
    assert_eq!(
        sealed["changes"][0]["after"],
        serde_json::json!({"secret": true})
    );
    assert_eq!(sealed["changes"][0]["certain"], false);
}

/// 2 means changes, wherever a script asks: a mistake in the call is never one.
#[test]
fn a_call_that_is_none_ends_with_1() {
    let work = before();
    for wrong in [
        &["plan", "--such"][..],
        &["plan", "--short", "--stat"],
        &["plan", "-o", "xml"],
        &["plan", "--save", "plan.json"],
        &["plan", "one", "two"],
        &["diff"],
        &["apply"],
        &["apply", "--plan", "absent.json"],
        &["comment", "--pull-request", "many"],
        &["comment"],
        &["affected", "--such"],
        &["build", "--kustomization", "none"],
        &["envs", "--against", "eu"],
        &["envs", "--matrix", "--against", "none"],
        &["env"],
        &["env", "create", "new"],
        &["env", "create", "new", "--like", "none"],
        &["init", "--env"],
        &["bootstrap", "--such"],
        &["lint", "--rule", "none"],
        &["lint", "-o", "xml"],
        &["nothing"],
    ] {
        let said = weir(work.path(), wrong);
        assert_eq!(said.code, 1, "{wrong:?}: {}{}", said.out, said.err);
        assert!(!said.err.is_empty(), "{wrong:?}");
    }
}

/// Environments are told of together where the same happens to them, though each is a folder of its own.
#[test]
fn folders_to_which_the_same_happens_are_told_of_once() {
    let work = repository();
    for name in ["eu", "us", "lab"] {
        let list = "namespace: shop\nresources: [../../base]\n";
        work.write(&format!("envs/{name}/kustomization.yaml"), list);
    }
    work.write("base/kustomization.yaml", "resources: [a.yaml, b.yaml]\n")
        .write("base/a.yaml", map("a", "{size: one}"))
        .write("base/b.yaml", map("b", "{size: one}"));
    work.commit("before");
    work.write("base/kustomization.yaml", "resources: [a.yaml]\n")
        .write("base/a.yaml", map("a", "{size: two}"))
        .write(
            "envs/lab/kustomization.yaml",
            "namespace: lab\nresources: [../../base]\n",
        );
    work.commit("after");
    let text = plan(&work, &[]);
    let together = "eu, us\n  its own folder\n    ~ ConfigMap shop/a\n        ~ data.size: one → two\n  \
                    no longer wanted (1):\n    - ConfigMap shop/b  (of its own folder)\n\nlab\n  envs/lab\n";
    assert!(text.starts_with(together), "{text}");
    let comment = plan(&work, &["-o", "markdown"]);
    assert_eq!(comment.matches("<details>").count(), 2, "{comment}");
    let summary =
        "<summary><code>eu</code>, <code>us</code> (the same in each): 1 change, 1 prune</summary>";
    assert!(comment.contains(summary), "{comment}");
    let page = plan(&work, &["-o", "html"]);
    assert!(
        page.contains("eu, us") && !page.contains("envs/us"),
        "{page}"
    );
}
