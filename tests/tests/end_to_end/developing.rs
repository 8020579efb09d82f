//! `weir dev`: what is saved is planned at once, applied where that is wanted, and put back at the end.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kube::api::{Api, DynamicObject};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use weir_tests::objects::{config_map, deployment, kustomization_file, kustomization_kind};
use weir_tests::scene::{PATIENCE, config_map_kind, deployment_kind};
use weir_tests::{ControlPlane, Scene, Terminal, Weir, eventually};

const LENT: &str = "weir.dev/lent-to";

/// A `weir dev` that runs, and what it has said so far.
struct Dev {
    process: Child,
    said: Arc<Mutex<String>>,
    _input: ChildStdin,
}

impl Dev {
    /// Starts with more arguments behind the folder.
    fn start(folder: &Path, path: &str, arguments: &[&str]) -> Dev {
        let kubeconfig = ControlPlane::shared().kubeconfig(ControlPlane::ADMINISTRATOR);
        let mut command = Weir::command();
        command
            .current_dir(folder)
            .args(["dev", path])
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            .env("USER", "ada")
            .env("HOSTNAME", "desk")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = command.spawn().expect("start weir dev");
        let said = Arc::new(Mutex::new(String::new()));
        let output = process.stdout.take().expect("its output");
        let errors = process.stderr.take().expect("its errors");
        collect(BufReader::new(output), said.clone());
        collect(BufReader::new(errors), said.clone());
        Dev {
            _input: process.stdin.take().expect("its input"),
            process,
            said,
        }
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it has said something so many times.
    async fn says(&self, text: &str, times: usize) {
        eventually(PATIENCE, &format!("weir dev says {text:?}"), async || {
            let said = self.said();
            match said.matches(text).count() >= times {
                true => Ok(()),
                false => Err(said),
            }
        })
        .await;
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).expect("signal weir dev");
    }

    fn end(&mut self) -> Option<i32> {
        self.process.wait().expect("wait for weir dev").code()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn collect(lines: impl BufRead + Send + 'static, said: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        for line in lines.lines().map_while(Result::ok) {
            let mut said = said.lock().unwrap();
            said.push_str(&line);
            said.push('\n');
        }
    });
}

async fn value(scene: &Scene, name: &str) -> Option<Value> {
    let found = scene.find(&config_map_kind(), name).await;
    found.map(|object| object.data["data"]["level"].clone())
}

async fn has_value(scene: &Scene, name: &str, expected: Option<&str>) {
    eventually(PATIENCE, &format!("{name} is {expected:?}"), async || {
        let found = value(scene, name).await;
        match found == expected.map(Value::from) {
            true => Ok(()),
            false => Err(format!("{found:?}")),
        }
    })
    .await;
}

/// A folder of its own, built by a Kustomization that is Ready.
async fn deployed(word: &str, interval: &str) -> (Scene, String, String) {
    let scene = Scene::start(word).await;
    let folder = format!("envs/{}", scene.namespace);
    scene
        .repository
        .write(
            &format!("{folder}/kustomization.yaml"),
            kustomization_file(&["a.yaml"]),
        )
        .write(&format!("{folder}/a.yaml"), config_map("a", "level", "git"))
        .write(".gitignore", "*.tmp\n");
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene
        .sync("app", &folder, json!({ "interval": interval }))
        .await;
    scene.ready("app", &commit).await;
    (scene, folder, commit)
}

fn suspension(object: &DynamicObject) -> (bool, Option<String>) {
    let annotations = object.metadata.annotations.as_ref();
    let lent = annotations.and_then(|annotations| annotations.get(LENT).cloned());
    (object.data["spec"]["suspend"] == true, lent)
}

#[tokio::test]
async fn a_save_is_planned_and_nothing_is_written() {
    let (scene, folder, _) = deployed("dev-plan", "1h").await;
    let dev = Dev::start(
        scene.repository.path(),
        &folder,
        &["--context", "controlplane"],
    );
    dev.says("Plan: 1 unchanged", 1).await;
    let file = format!("{folder}/a.yaml");
    scene
        .repository
        .write(&file, config_map("a", "level", "saved"));
    dev.says("~ data.level: git → saved", 1).await;

    // What Git ignores, and what no build reads, is no reason to look.
    let plans = dev.said().matches("Plan:").count();
    scene
        .repository
        .write(&format!("{folder}/a.tmp"), "scratch");
    scene
        .repository
        .write("elsewhere/b.yaml", config_map("b", "level", "new"));
    // A mistake is told with its place, and mended by the next save.
    scene.repository.write(&file, "a: [1\n");
    dev.says(&format!("{folder}/a.yaml:"), 1).await;
    scene
        .repository
        .write(&file, config_map("a", "level", "mended"));
    dev.says("~ data.level: git → mended", 1).await;
    assert_eq!(
        dev.said().matches("Plan:").count(),
        plans + 1,
        "{}",
        dev.said()
    );

    assert_eq!(value(&scene, "a").await, Some(json!("git")));
    let object = scene.get(&kustomization_kind(), "app").await;
    assert_eq!(suspension(&object), (false, None));
}

#[tokio::test]
async fn what_is_applied_is_put_back_when_the_developer_leaves() {
    let (scene, folder, _) = deployed("dev-apply", "1h").await;
    let arguments = ["--context", "controlplane", "--apply", "--lease", "30s"];
    let mut dev = Dev::start(scene.repository.path(), &folder, &arguments);
    dev.says("Plan: 1 unchanged", 1).await;
    let object = scene.get(&kustomization_kind(), "app").await;
    let (suspended, lent) = suspension(&object);
    let lent = lent.expect("it says who has it");
    assert!(
        suspended && lent.starts_with("ada@desk/") && lent.contains(" until 20"),
        "{lent}"
    );

    // One changed, one new, one that Kubernetes needs time for.
    let resources = kustomization_file(&["a.yaml", "b.yaml", "web.yaml"]);
    scene
        .repository
        .write(
            &format!("{folder}/b.yaml"),
            config_map("b", "level", "saved"),
        )
        .write(
            &format!("{folder}/web.yaml"),
            weir_tests::objects::deployment("web", "nginx:1.29", 1),
        )
        .write(
            &format!("{folder}/a.yaml"),
            config_map("a", "level", "saved"),
        )
        .write(&format!("{folder}/kustomization.yaml"), resources);
    has_value(&scene, "a", Some("saved")).await;
    has_value(&scene, "b", Some("saved")).await;
    dev.says("web: InProgress", 1).await;
    dev.says("app is ready", 1).await;
    // Somebody else does not get it meanwhile.
    let mut other = Weir::command();
    let kubeconfig = ControlPlane::shared().kubeconfig(ControlPlane::ADMINISTRATOR);
    other
        .current_dir(scene.repository.path())
        .args(["dev", &folder])
        .args(arguments);
    other
        .env("KUBECONFIG", kubeconfig)
        .env("USER", "bob")
        .env("HOSTNAME", "desk");
    let refused = other.output().expect("run weir dev");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("is lent to ada@desk/"),
        "{said}"
    );

    dev.signal(Signal::SIGINT);
    assert_eq!(dev.end(), Some(0), "{}", dev.said());
    has_value(&scene, "a", Some("git")).await;
    has_value(&scene, "b", None).await;
    scene.gone(&deployment_kind(), "web").await;
    let object = scene.get(&kustomization_kind(), "app").await;
    assert_eq!(suspension(&object), (false, None));
}

#[tokio::test]
async fn what_a_dead_developer_has_borrowed_is_taken_back() {
    let (scene, folder, _) = deployed("dev-dead", "1h").await;
    let arguments = ["--context", "controlplane", "--apply", "--lease", "3s"];
    let mut dev = Dev::start(scene.repository.path(), &folder, &arguments);
    dev.says("Plan: 1 unchanged", 1).await;
    let file = format!("{folder}/kustomization.yaml");
    scene.repository.write(
        &format!("{folder}/b.yaml"),
        config_map("b", "level", "saved"),
    );
    scene
        .repository
        .write(&file, kustomization_file(&["a.yaml", "b.yaml"]));
    has_value(&scene, "b", Some("saved")).await;

    // It is prolonged for as long as somebody is there.
    let first = suspension(&scene.get(&kustomization_kind(), "app").await);
    scene
        .until(
            "the loan is prolonged",
            &kustomization_kind(),
            "app",
            |object| {
                let now = suspension(object);
                match now != first && now.0 {
                    true => Ok(()),
                    false => Err(format!("{now:?}")),
                }
            },
        )
        .await;
    dev.signal(Signal::SIGKILL);
    assert_eq!(dev.end(), None);
    has_value(&scene, "b", None).await;
    let object = scene.get(&kustomization_kind(), "app").await;
    assert_eq!(suspension(&object), (false, None));
}

#[tokio::test]
async fn a_folder_without_a_controller_is_applied_and_can_be_put_back() {
    let scene = Scene::start("dev-bare").await;
    let folder = format!("bare/{}", scene.namespace);
    let kustomization = |resources: &[&str]| {
        json!({ "namespace": scene.namespace, "resources": resources }).to_string()
    };
    scene
        .repository
        .write(
            &format!("{folder}/kustomization.yaml"),
            kustomization(&["a.yaml"]),
        )
        .write(&format!("{folder}/a.yaml"), config_map("a", "level", "git"));
    scene.repository.commit("first");
    let arguments = ["--context", "controlplane", "--apply", "--restore"];
    let mut dev = Dev::start(scene.repository.path(), &folder, &arguments);
    has_value(&scene, "a", Some("git")).await;
    scene
        .repository
        .write(
            &format!("{folder}/a.yaml"),
            config_map("a", "level", "saved"),
        )
        .write(
            &format!("{folder}/b.yaml"),
            config_map("b", "level", "saved"),
        )
        .write(
            &format!("{folder}/kustomization.yaml"),
            kustomization(&["a.yaml", "b.yaml"]),
        );
    has_value(&scene, "b", Some("saved")).await;
    has_value(&scene, "a", Some("saved")).await;
    dev.signal(Signal::SIGTERM);
    assert_eq!(dev.end(), Some(0), "{}", dev.said());
    assert_eq!(value(&scene, "a").await, Some(json!("git")));
    has_value(&scene, "b", None).await;
}

#[tokio::test]
async fn a_cluster_that_is_not_on_the_list_must_be_named() {
    let scene = Scene::start("dev-list").await;
    let kubeconfig = ControlPlane::shared().kubeconfig(ControlPlane::ADMINISTRATOR);
    let mut command = Weir::command();
    command
        .current_dir(scene.repository.path())
        .args(["dev", "."])
        .env("KUBECONFIG", kubeconfig);
    let refused = command.output().expect("run weir dev");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("is not on the list"),
        "{said}"
    );
}

#[tokio::test]
async fn who_may_not_suspend_may_not_apply() {
    let (scene, folder, _) = deployed("dev-refused", "1h").await;
    // Whoever may read everything may see the plan and nothing else.
    let rules =
        json!([{ "apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"] }]);
    let config = reader(&scene, rules).await;
    let mut command = Weir::command();
    command
        .current_dir(scene.repository.path())
        .args(["dev", &folder, "--apply", "--context", "reader"])
        .env("KUBECONFIG", config.path());
    let refused = command.output().expect("run weir dev");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("cannot be suspended"),
        "{said}"
    );
    let object = scene.get(&kustomization_kind(), "app").await;
    assert_eq!(suspension(&object), (false, None));
}

/// The kubeconfig of a service account with some rights in all of the cluster.
async fn reader(scene: &Scene, rules: Value) -> tempfile::NamedTempFile {
    use k8s_openapi::api::authentication::v1::TokenRequest;
    use k8s_openapi::api::core::v1::ServiceAccount;
    use weir_tests::objects::{kind, object};
    scene
        .create(&object(
            &kind("", "v1", "ServiceAccount"),
            "reader",
            json!({}),
        ))
        .await;
    let group = "rbac.authorization.k8s.io";
    let name = scene.namespace.clone();
    let subject = json!([{ "kind": "ServiceAccount", "name": "reader", "namespace": name }]);
    let reference = json!({ "apiGroup": group, "kind": "ClusterRole", "name": name });
    for (role, fields) in [
        ("ClusterRole", json!({ "rules": rules })),
        (
            "ClusterRoleBinding",
            json!({ "roleRef": reference, "subjects": subject }),
        ),
    ] {
        let resource = kind(group, "v1", role);
        let api: Api<DynamicObject> = Api::all_with(scene.client.clone(), &resource);
        api.create(&Default::default(), &object(&resource, &name, fields))
            .await
            .unwrap();
    }
    let accounts = Api::<ServiceAccount>::namespaced(scene.client.clone(), &scene.namespace);
    let asked = TokenRequest::default();
    let token = accounts
        .create_token_request("reader", &Default::default(), &asked)
        .await
        .unwrap();
    let plane = ControlPlane::shared();
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "c", "cluster": {
            "server": plane.server(),
            "certificate-authority": plane.certificate_authority(),
        } }],
        "users": [{ "name": "reader", "user": { "token": token.status.unwrap().token } }],
        "contexts": [{ "name": "reader", "context": { "cluster": "c", "user": "reader" } }],
        "current-context": "reader",
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), config.to_string()).unwrap();
    file
}

/// A terminal whose screen `weir dev` draws on.
async fn drawn(terminal: &Terminal, what: &str, is_so: impl Fn(&[String]) -> bool) -> Vec<String> {
    eventually(PATIENCE, what, async || {
        let rows = terminal.rows();
        match is_so(&rows) {
            true => Ok(rows),
            false => Err(rows.join("\n")),
        }
    })
    .await
}

#[tokio::test]
async fn a_terminal_shows_the_last_save_and_what_is_not_ready() {
    let (scene, folder, _) = deployed("dev-screen", "1h").await;
    let mut command = Weir::command();
    command
        .current_dir(scene.repository.path())
        .args(["dev", &folder, "--apply", "--context", "controlplane"])
        .env(
            "KUBECONFIG",
            ControlPlane::shared().kubeconfig(ControlPlane::ADMINISTRATOR),
        );
    // Narrower than what is said of health, so that lines that are not cut would leave something behind.
    let mut terminal = Terminal::start(command, 50, 30);
    let has = |rows: &[String], part: &str| rows.concat().contains(part);
    let what = "the first plan is shown";
    drawn(&terminal, what, |rows| has(rows, "Plan: 1 unchanged")).await;

    // A save begins a page: the headline, the file, the plan, what was done.
    let write = |name: &str, text: String| {
        scene.repository.write(&format!("{folder}/{name}"), text);
    };
    write("a.yaml", config_map("a", "level", "saved"));
    let what = "the save is on a page of its own";
    let rows = drawn(&terminal, what, |rows| has(rows, "is ready,")).await;
    assert!(rows[0].contains("every save is"), "{rows:#?}");
    assert!(has(&rows, "► "), "{rows:#?}");
    assert!(has(&rows, "~ ConfigMap/"), "{rows:#?}");
    assert!(has(&rows, "git → saved"), "{rows:#?}");
    assert!(has(&rows, "Plan: 1 change"), "{rows:#?}");
    assert!(has(&rows, "✔ ConfigMap/"), "{rows:#?}");
    assert_eq!(
        rows.iter().filter(|row| row.starts_with("Plan: ")).count(),
        1,
        "the page before is gone: {rows:#?}"
    );

    // What is not ready stands below, once, however often it changes.
    let web = |selector: Value| {
        let mut object: Value = serde_json::from_str(&deployment("web", "nginx:1", 1)).unwrap();
        object["spec"]["template"]["spec"]["nodeSelector"] = selector;
        object.to_string()
    };
    write("web.yaml", web(json!({ "example.org/none": "here" })));
    write(
        "kustomization.yaml",
        kustomization_file(&["a.yaml", "web.yaml"]),
    );
    let standing = |rows: &[String]| -> Vec<String> {
        let below = rows.iter().skip_while(|row| !row.starts_with("… "));
        below.cloned().collect()
    };
    let what = "the Deployment stands below";
    drawn(&terminal, what, |rows| {
        standing(rows).len() == 1 && standing(rows)[0].ends_with('1')
    })
    .await;
    for (replicas, last) in [(2, '2'), (3, '3')] {
        let scaled = json!({ "spec": { "replicas": replicas } });
        scene.merge(&deployment_kind(), "web", scaled).await;
        let what = "the line is another one";
        let rows = drawn(&terminal, what, |rows| {
            standing(rows).iter().any(|row| row.ends_with(last))
        })
        .await;
        assert_eq!(standing(&rows).len(), 1, "{rows:#?}");
    }
    write("web.yaml", web(json!({})));
    let what = "nothing stands below any more";
    let rows = drawn(&terminal, what, |rows| has(rows, "is ready,")).await;
    assert_eq!(standing(&rows), Vec::<String>::new(), "{rows:#?}");

    let id = Pid::from_raw(terminal.id().cast_signed());
    kill(id, Signal::SIGINT).expect("signal weir dev");
    assert_eq!(terminal.end(), Some(0));
    let rows = drawn(&terminal, "it says goodbye", |rows| has(rows, "goes on")).await;
    println!("{}", rows.join("\n"));
}

/// One environment of two hundred. A machine is never quicker than it is, so that the quickest tells most.
#[tokio::test]
async fn from_save_to_plan_takes_a_moment() {
    const ENVIRONMENTS: usize = 200;
    let (scene, folder, _) = deployed("dev-quick", "1h").await;
    scene
        .repository
        .write("base/kustomization.yaml", kustomization_file(&["b.yaml"]));
    scene
        .repository
        .write("base/b.yaml", config_map("base", "level", "low"));
    for number in 0..ENVIRONMENTS {
        let path = format!("envs/other-{number}");
        scene.repository.write(
            &format!("{path}/kustomization.yaml"),
            kustomization_file(&["../../base"]),
        );
    }
    let dev = Dev::start(
        scene.repository.path(),
        &folder,
        &["--context", "controlplane"],
    );
    dev.says("Plan: 1 unchanged", 1).await;
    let mut times = Vec::new();
    for round in 0..10 {
        let value = format!("round-{round}");
        let text = config_map("a", "level", &value);
        let begin = Instant::now();
        scene.repository.write(&format!("{folder}/a.yaml"), text);
        while !dev.said().contains(&format!("→ {value}")) {
            assert!(begin.elapsed() < PATIENCE, "{}", dev.said());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        times.push(begin.elapsed());
    }
    times.sort();
    println!(
        "from save to plan: quickest {:?}, median {:?}, longest {:?}",
        times[0],
        times[times.len() / 2],
        times[times.len() - 1]
    );
    assert!(times[0] <= Duration::from_millis(100), "{times:?}");
}
