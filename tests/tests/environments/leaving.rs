//! What becomes of what Git no longer has: the same as the controller does.

use weir_tests::Repository;

use crate::said::{kustomization, map, printed, repository};

const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n---\n";

/// A cluster with a Kustomization that brings another one, and one by itself.
fn cluster(parent: &str, child: &str) -> Repository {
    let work = repository();
    work.write(
        "clusters/one/parent.yaml",
        kustomization("parent", "./parent", "").replace("prune: true", parent),
    )
    .write(
        "parent/child.yaml",
        kustomization("child", "./child", child),
    )
    .write("parent/map.yaml", map("own", "{}"))
    .write("child/map.yaml", map("inner", "{}") + NAMESPACE);
    work.commit("before");
    work
}

fn plan(work: &Repository, code: i32) -> String {
    printed(work.path(), &["plan"], code)
}

#[test]
fn the_gate_holds_nothing_of_a_kustomization_that_goes() {
    let work = cluster("prune: true", "");
    work.remove("parent/child.yaml");
    let text = plan(&work, 3);
    assert!(
        text.contains("- Namespace n  (of flux-system/child)\n"),
        "{text}"
    );
    work.git(&["checkout", "--quiet", "main", "--", "."]);
    work.write("child/map.yaml", map("inner", "{}"));
    let text = plan(&work, 3);
    assert!(
        text.contains("(of flux-system/child; guarded: waits for a confirmation)"),
        "{text}"
    );
}

#[test]
fn the_policy_of_one_that_goes_decides() {
    for (rest, code, told) in [
        (
            "  deletionPolicy: Delete\n",
            3,
            "- ConfigMap inner  (of flux-system/child)\n",
        ),
        (
            "  suspend: true\n",
            3,
            "· ConfigMap inner  (of flux-system/child; stays in the cluster: its Kustomization is suspended)",
        ),
    ] {
        let work = cluster("prune: true", rest);
        let text = std::fs::read_to_string(work.path().join("parent/child.yaml")).unwrap();
        work.write(
            "parent/child.yaml",
            text.replace("prune: true", "prune: false"),
        );
        work.commit("keeps");
        work.remove("parent/child.yaml");
        let text = plan(&work, code);
        assert!(text.contains(told), "{text}");
    }
}

#[test]
fn what_a_kustomization_that_stays_has_stays() {
    let work = cluster("prune: false", "");
    work.remove("parent/child.yaml");
    let text = plan(&work, 2);
    let told =
        "· ConfigMap inner  (of flux-system/child; stays in the cluster: its Kustomization stays)";
    assert!(text.contains(told), "{text}");
}

#[test]
fn an_object_may_keep_itself() {
    let work = cluster("prune: true", "");
    let kept = |word: &str| {
        map(&word[..3], "{}").replace(
            "}\ndata",
            &format!(", annotations: {{kustomize.toolkit.fluxcd.io/{word}}}}}\ndata"),
        )
    };
    work.write(
        "child/kept.yaml",
        kept("reconcile: disabled") + &kept("ssa: Ignore"),
    );
    work.commit("kept");
    work.remove("child/kept.yaml");
    let text = plan(&work, 2);
    for (name, word) in [("rec", "reconcile: disabled"), ("ssa", "ssa: Ignore")] {
        let told =
            format!("· ConfigMap {name}  (of flux-system/child; stays in the cluster: {word})");
        assert!(text.contains(&told), "{text}");
    }
}

#[test]
fn most_of_an_inventory_waits_for_a_confirmation() {
    let work = cluster("prune: true", "");
    let many = |number: usize| {
        (0..number)
            .map(|it| map(&format!("m{it}"), "{}"))
            .collect::<String>()
    };
    work.write("child/map.yaml", many(20));
    work.commit("many");
    for (left, held) in [(10, 0), (9, 11), (0, 20)] {
        work.write("child/map.yaml", many(left))
            .write("child/kustomization.yaml", "resources: [map.yaml]\n");
        if left == 0 {
            work.write("child/kustomization.yaml", "resources: []\n");
        }
        let text = plan(&work, 3);
        assert_eq!(text.matches("guarded").count(), held, "{text}");
    }
}

#[test]
fn below_one_that_breaks_or_moves_out_nothing_is_pruned() {
    for (file, text, code) in [
        ("clusters/one/bad.yaml", "a: [\n".to_owned(), 1),
        ("parent/map.yaml", "a: [\n".to_owned(), 1),
        (
            "clusters/one/parent.yaml",
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: other, namespace: flux-system}\nspec: {interval: 1m, url: 'https://example.com/other'}\n---\n".to_owned()
                + &kustomization("parent", "./parent", "").replace("name: flux-system}\n", "name: other}\n"),
            2,
        ),
    ] {
        let work = cluster("prune: true", "");
        work.write(
            "clusters/one/flux-system/gotk-sync.yaml",
            kustomization("flux-system", "./clusters/one", ""),
        );
        work.commit("a source");
        work.write(file, text);
        let text = plan(&work, code);
        assert!(text.contains("    ! "), "{text}");
        assert!(!text.contains("no longer wanted"), "{text}");
    }
}

#[test]
fn what_another_one_wants_too_is_handed_over() {
    let work = cluster("prune: true", "");
    work.write("parent/more.yaml", map("inner", "{}"));
    work.commit("twice");
    work.write("child/map.yaml", NAMESPACE);
    let text = plan(&work, 0);
    assert!(!text.contains("no longer wanted"), "{text}");
}

#[test]
fn a_part_of_a_plan_sees_what_moves() {
    let work = cluster("prune: true", "");
    work.write("child/map.yaml", NAMESPACE)
        .write("parent/more.yaml", map("inner", "{}"));
    for target in ["flux-system/child", "flux-system/parent", "child"] {
        let text = printed(work.path(), &["plan", target], 2);
        assert!(
            text.contains("~ ConfigMap inner  (moves here from flux-system/child)"),
            "{text}"
        );
        assert!(text.contains("Plan: 1 change, "), "{text}");
    }
}

#[test]
fn a_part_of_a_plan_is_what_either_side_has_of_a_folder() {
    let work = cluster("prune: true", "");
    work.write(
        "parts/extra/kustomization.yaml",
        "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches:\n- target: {kind: ConfigMap}\n  patch: |\n    - {op: add, path: /data/x, value: y}\n",
    )
    .write("child/kustomization.yaml", "resources: [map.yaml]\n");
    work.commit("a component");
    work.write(
        "parent/child.yaml",
        kustomization("child", "./child", "  components: [../parts/extra]\n"),
    );
    let text = printed(work.path(), &["plan", "parts/extra"], 2);
    assert!(text.contains("Plan: 1 change"), "{text}");
    assert!(text.contains("~ ConfigMap inner\n"), "{text}");
}
