//! Service accounts that stand for an identity at a key service: real tokens of the API server, which stand-ins of the
//! services check for whom they were made and whose they are.

use std::collections::BTreeMap;

use super::site::{Site, cluster};
use controller::cluster::Identity;
use controller::unwrap::account::Account;
use controller::unwrap::allow::AllowList;
use controller::unwrap::credentials::Credentials;
use controller::unwrap::vault::Server;
use controller::unwrap::{Endpoints, Services, Settings, ask, azure as to_azure};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use sops::{Answer, Recipient, Wrapped};
use weir_tests::KeyService;
use weir_tests::key_service::{aws, azure, gcp, vault};

const DATA_KEY: [u8; 32] = [9; 32];

/// An account of the site with annotations, and Weir's way to it.
async fn account(site: &Site, name: &str, annotations: Value) -> Account {
    let account: ServiceAccount = serde_json::from_value(json!({
        "metadata": { "name": name, "annotations": annotations },
    }))
    .unwrap();
    Api::namespaced(site.admin.clone(), &site.namespace)
        .create(&PostParams::default(), &account)
        .await
        .unwrap();
    Account::new(site.client.kube(), &site.namespace, name)
}

/// The way to the stand-in, with an identity of the process that opens nothing but must not be tried either.
fn services(service: &KeyService) -> Services {
    let patterns = [
        format!("aws={}", aws::ARN),
        format!("gcp={}", gcp::RESOURCE),
        format!("azure={}/keys/{}", azure::VAULT, azure::NAME),
    ];
    let at = || Some(service.url().parse().unwrap());
    let settings = Settings {
        allowed: AllowList(patterns.iter().map(|text| text.parse().unwrap()).collect()),
        ambient: Credentials {
            azure: Some(to_azure::Identity::Secret {
                tenant: azure::TENANT.to_owned(),
                client: azure::CLIENT.to_owned(),
                secret: controller::unwrap::credentials::Sensitive::new(azure::SECRET),
            }),
            ..Credentials::default()
        },
        endpoints: Endpoints {
            aws_kms: at(),
            aws_sts: at(),
            gcp_kms: at(),
            gcp_tokens: at(),
            gcp_metadata: at(),
            azure_key_vault: at(),
            azure_tokens: at(),
        },
        ..Settings::default()
    };
    Services::new(settings).unwrap()
}

fn wrapped(recipient: Recipient, ciphertext: String) -> Wrapped {
    Wrapped {
        recipient,
        ciphertext,
        created_at: None,
    }
}

fn kms() -> Wrapped {
    let recipient = Recipient::AwsKms {
        arn: aws::ARN.to_owned(),
        role: String::new(),
        context: BTreeMap::from([("app".to_owned(), "weir".to_owned())]),
        profile: String::new(),
    };
    wrapped(recipient, aws::wrap(&DATA_KEY))
}

fn cloud_kms() -> Wrapped {
    let resource_id = gcp::RESOURCE.to_owned();
    wrapped(Recipient::GcpKms { resource_id }, gcp::wrap(&DATA_KEY))
}

fn key_vault() -> Wrapped {
    let recipient = Recipient::AzureKeyVault {
        vault_url: azure::VAULT.to_owned(),
        name: azure::NAME.to_owned(),
        version: azure::VERSION.to_owned(),
    };
    wrapped(recipient, azure::wrap(&DATA_KEY))
}

fn transit(address: &str) -> Wrapped {
    let recipient = Recipient::VaultTransit {
        address: address.to_owned(),
        engine_path: "transit".to_owned(),
        key_name: "weir".to_owned(),
    };
    wrapped(recipient, vault::wrap(&DATA_KEY))
}

/// Nothing when the key opens, else why it does not.
async fn refusal(services: &Services, credentials: &Credentials, wrapped: Wrapped) -> String {
    let told = ask(services, credentials, vec![vec![wrapped.clone()]]).await;
    match &told.answers[&wrapped] {
        Answer::Opened(key) => {
            assert_eq!(**key, DATA_KEY);
            String::new()
        }
        Answer::Refused(reason) => reason.clone(),
    }
}

#[tokio::test]
async fn an_account_s_annotations_say_who_it_is_to_the_clouds() {
    let site = Site::new("workload").await;
    let service = KeyService::start();
    let services = services(&service);
    let everywhere = json!({
        "eks.amazonaws.com/role-arn": aws::ROLE,
        "azure.workload.identity/tenant-id": azure::TENANT,
        "azure.workload.identity/client-id": azure::CLIENT,
        "gcp.auth.fluxcd.io/workload-identity-provider": gcp::PROVIDER,
        "iam.gke.io/gcp-service-account": gcp::EMAIL,
    });
    let everywhere = account(&site, "everywhere", everywhere).await;
    let credentials = everywhere.credentials().await.unwrap();
    for wrapped in [kms(), cloud_kms(), key_vault()] {
        let refusal = refusal(&services, &credentials, wrapped.clone()).await;
        assert_eq!(refusal, "", "{wrapped:?}");
    }
    // In a cluster of Google's own, the metadata server says whose tokens are taken.
    let google = json!({ "iam.gke.io/gcp-service-account": gcp::EMAIL });
    let google = account(&site, "google", google).await;
    let credentials = google.credentials().await.unwrap();
    assert_eq!(refusal(&services, &credentials, cloud_kms()).await, "");
    // What the account is not, it does not borrow from the process.
    let before = service.requests().len();
    let said = refusal(&services, &credentials, key_vault()).await;
    assert!(said.starts_with("azure: no credentials: "), "{said}");
    assert_eq!(service.requests().len(), before);
}

#[tokio::test]
async fn vault_takes_tokens_of_an_account_where_the_operator_says_so() {
    let site = Site::new("vault-account").await;
    let service = KeyService::start();
    let services = services(&service);
    let keys = account(&site, "keys", json!({})).await;
    let server = |address: String| Credentials {
        vault_servers: vec![Server {
            address,
            login_path: "team/auth/jwt/login".to_owned(),
        }],
        vault_account: Some(keys.clone()),
        ..Credentials::default()
    };
    let credentials = server(service.url());
    let wrapped = transit(&service.url());
    assert_eq!(refusal(&services, &credentials, wrapped.clone()).await, "");
    let login = "POST /v1/team/auth/jwt/login";
    let decrypt = "POST /v1/transit/decrypt/weir";
    assert_eq!(service.requests(), [login, decrypt]);
    // A server that is not on the list is not asked, and gets no token.
    let other = KeyService::start();
    let said = refusal(&services, &credentials, transit(&other.url())).await;
    assert!(said.contains("is not allowed"), "{said}");
    assert_eq!(other.requests(), Vec::<String>::new());
    // An account that is not there has no token.
    let missing = Account::new(site.client.kube(), &site.namespace, "nobody");
    let credentials = Credentials {
        vault_account: Some(missing.clone()),
        ..server(service.url())
    };
    let said = refusal(&services, &credentials, wrapped).await;
    assert!(said.ends_with("nobody': NotFound (404)"), "{said}");
    let said = missing.credentials().await.unwrap_err();
    assert!(said.ends_with("nobody' not found"), "{said}");
}

#[tokio::test]
async fn annotations_that_lead_elsewhere_are_refused() {
    let site = Site::new("bad-workload").await;
    for (number, (annotation, value)) in [
        ("eks.amazonaws.com/role-arn", "arn:aws:iam::1:user/x"),
        ("azure.workload.identity/client-id", "../x"),
        ("iam.gke.io/gcp-service-account", "a@b.example"),
        (
            "gcp.auth.fluxcd.io/workload-identity-provider",
            "projects/1/locations/global/workloadIdentityPools/a?b/providers/c",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let annotations = json!({ annotation: value, "azure.workload.identity/tenant-id": "t" });
        let account = account(&site, &format!("bad-{number}"), annotations).await;
        let said = account.credentials().await.unwrap_err();
        assert!(
            said.ends_with(&format!("{annotation} is not valid")),
            "{said}"
        );
    }
}

#[tokio::test]
async fn our_own_account_is_the_one_that_the_api_server_sees() {
    let site = Site::new("own-account").await;
    let identity = Identity::ServiceAccount {
        namespace: site.namespace.clone(),
        name: "weir".into(),
    };
    let client = cluster().await.client(&identity).unwrap();
    let own = Account::own(&client.kube()).await.unwrap().unwrap();
    assert_eq!(own.to_string(), format!("{}/weir", site.namespace));
    let person = Account::own(&site.client.kube()).await.unwrap();
    assert_eq!(person, None);
}
