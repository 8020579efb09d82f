//! Weir as its users have it: a commit is pushed, and objects come, change and go in a real API server.
//!
//! One program, so that all tests share one control plane; one file a theme, one namespace a test.
//!
//! What users of Flux rely on, and the test that shows it:
//!
//! | | behaviour | test |
//! |---|---|---|
//! | 1 | inventory: exact entries, rename, prune | `deploy::a_commit_is_deployed_and_the_next_one_updates_it`, `prune::a_renamed_object_is_one_made_and_one_removed` |
//! | 2 | prune of what is stale; `prune: disabled` stays | `prune::a_file_removed_from_git_is_an_object_removed`, `prune::an_object_that_git_once_protected_stays` |
//! | 3 | states of health checks | `states::from_healthy_over_unhealthy_and_back`, `wait` |
//! | 4 | definition and its object in one set | `expressions::rules_for_a_kind_of_one_s_own_decide_its_health` |
//! | 5 | drift is put right | `drift::an_edit_is_put_right`, `drift::a_deleted_object_comes_back` |
//! | 6 | no news touches no object | `states::a_request_without_news_touches_no_object`, `quiet` |
//! | 7 | `reconcile: disabled` on a live object | `drift::an_object_out_of_reconciling_is_left_alone` |
//! | 8 | variables: order, line ends, strictness | `variables`, `states::a_config_map_that_values_come_from_is_followed_without_a_label` |
//! | 9 | order by `dependsOn`, at the same revision | `wait::a_kustomization_waits_for_what_it_depends_on`, `policies::a_dependency_must_be_ready_at_the_same_revision` |
//! | 10 | suspend, resume; suspended deletion keeps objects | `deploy::a_suspended_kustomization_waits`, `prune::deleting_a_suspended_kustomization_leaves_its_objects` |
//! | 11 | deletion policies | `policies::the_deletion_policy_decides_over_prune` |
//! | 12 | revision, artifact, reproducible digest | `sources::the_status_describes_the_artifact` |
//! | 13 | `requestedAt` is answered | `deploy::an_annotation_is_answered` |
//! | 14 | decryption | `secrets` (age, OpenPGP), `canaries` (generator files, environment files, patches, nested values), `key_services` |
//! | 15 | force on an immutable Secret | `policies::an_immutable_secret_is_an_error_or_by_force_replaced` |
//! | 16 | impersonation | `deploy::an_account_without_rights_is_refused_and_then_let_in` |
//! | 17 | an empty render; ours: it prunes nothing before a person says so | `prune::an_empty_render_removes_nothing`, `gate` |
//! | 18 | prune leaves what says it is somebody else's | `prune::an_object_that_says_it_is_somebody_elses_is_not_removed` |
//! | 19 | a refused deletion stays in the inventory | `managers::a_refused_deletion_stays_in_the_inventory_until_it_succeeds` |
//! | 20 | transformers of a kustomization file | `building::transformers_of_a_kustomization_file_do_their_work` |
//! | 21 | transformers in files | `building::transformers_in_files_do_their_work` |
//! | 22 | the spec's patches, images, namespace, prefix | `deploy::the_fields_of_a_kustomization_change_what_is_built` |
//! | 23 | generated kustomization file, empty folder, invalid YAML | `building::a_folder_without_…`, `failures::a_yaml_error_names_file_and_line` |
//! | 24 | components | `building::components_are_added_and_missing_ones_may_be_left_out` |
//! | 25 | `commonMetadata` set and removed | `building::common_metadata_comes_and_goes` |
//! | 26 | `ssa: IfNotPresent`, `Ignore`, `Merge` | `treatment`; test `cluster`: `update::settings_in_git_and_in_the_cluster_are_heeded` |
//! | 27 | fields of kubectl and of named managers go | test `cluster`: `update::what_kubectl_has_added_goes`; `managers::fields_of_named_managers_are_taken_over` |
//! | 28 | `spec.ignore` beside an autoscaler | `managers::fields_may_be_left_to_others` |
//! | 29 | `readyExpr` | `expressions::an_expression_says_when_a_dependency_is_ready` |
//! | 30 | `healthCheckExprs` by kind and by group | `expressions::rules_for_…`, `expressions::a_rule_for_a_group_covers_its_kinds`, `expressions::an_expression_that_is_none_is_a_terminal_error` |
//! | 31 | a failed Job ends the wait; one that expires is well | `policies::a_failed_job_ends_the_wait_early`, `policies::a_job_that_expires_is_not_run_again_before_the_interval` |
//! | 32 | `--no-cross-namespace-refs` | `identity::sources_of_other_namespaces_are_used_by_default`, `policies::sources_of_other_namespaces_may_be_forbidden` |
//! | 33 | a missing kubeconfig, and its coming | `remote` |
//! | 34 | tags, versions, commits, names | `sources::tags_versions_and_commits_are_found`; test `source_fetch` |
//! | 35 | ignore rules, default exclusions, links | tests `source_tree`, `source_artifact` |
//! | 36 | passwords, tokens, private authorities, SSH keys and known hosts | `sources::a_password_opens_the_repository`, `sources::a_private_authority_is_trusted_when_it_is_named`, `sources::a_key_opens_a_repository_over_ssh`, `sources::a_token_opens_the_repository`, `sources::a_certificate_opens_the_repository`, `proxies`; tests `source_fetch`, `source_ssh`, `source_proxied` |
//! | 37 | signatures of commits and tags, OpenPGP and SSH | `revisions::only_what_is_signed_by_somebody_trusted_is_applied`; test `source_verified` |
//! | 38 | a ConfigMap's or Secret's change triggers, labelled or not | `states::a_config_map_that_values_come_from_is_followed_without_a_label`, `inputs` |
//! | 39 | what the `flux` command line reads and writes | `looking::the_flux_command_finds_all_that_it_reads`, `deploy::an_annotation_is_answered`, `deploy::a_suspended_kustomization_waits`, `states` |
//! | 40 | a new revision ends the old check; a ring stops nobody else | `wait::what_is_not_ready_yet_is_in_progress`, `policies::a_ring_is_reported_on_its_members_and_stops_nobody_else` |

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod approximate_plans;
mod artifacts;
mod automatic;
mod bootstrapped;
mod bootstrapping;
mod building;
mod canaries;
mod deploy;
mod developing;
mod drift;
mod editing;
mod endings;
mod events;
mod examples;
mod expressions;
mod failures;
mod fencing;
mod fights;
mod filling_in;
mod gate;
mod guarded_edges;
mod identity;
mod inputs;
mod key_services;
mod kill;
mod looking;
mod managers;
mod metrics;
mod once_secret;
mod operator;
mod outages;
mod owners;
mod packages;
mod plan_forms;
mod plans;
mod policies;
mod proxies;
mod prune;
mod publishing;
mod quiet;
mod reading_plans;
mod receivers;
mod remote;
mod restart;
mod revisions;
mod saved_plans;
mod schema;
mod secret_names;
mod secret_plans;
mod secrets;
mod shards;
mod sources;
mod states;
mod treatment;
mod unchanged;
mod variables;
mod wait;
mod waves;
mod weather;
