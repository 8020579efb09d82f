//! Key services unwrap data keys: every kind and every way to say who we are, what a hostile file reaches, and what a
//! hostile server achieves.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use controller::unwrap::allow::AllowList;
use controller::unwrap::credentials::{Credentials, Sensitive, Token};
use controller::unwrap::{
    Endpoints, Services, Settings, Told, ask, aws as to_aws, azure as to_azure,
};
use controller::unwrap::{gcp as to_gcp, vault as to_vault};
use serde_json::json;
use sops::{Answer, Recipient, Wrapped};
use weir_tests::KeyService;
use weir_tests::key_service::{Manner, aws, azure, gcp, vault};

const DATA_KEY: [u8; 32] = [7; 32];

fn wrapped(recipient: Recipient, ciphertext: String) -> Wrapped {
    Wrapped {
        recipient,
        ciphertext,
        created_at: None,
    }
}

fn transit(address: &str) -> Wrapped {
    let recipient = Recipient::VaultTransit {
        address: address.to_owned(),
        engine_path: "transit".to_owned(),
        key_name: "weir".to_owned(),
    };
    wrapped(recipient, vault::wrap(&DATA_KEY))
}

fn kms(role: &str) -> Wrapped {
    let recipient = Recipient::AwsKms {
        arn: aws::ARN.to_owned(),
        role: role.to_owned(),
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

/// The way to the stand-in, for the keys that it has.
fn services(service: &KeyService, more: &[&str]) -> Services {
    let address = service.url();
    let own = [
        format!("vault={address}/transit/weir"),
        format!("aws={}", aws::ARN),
        format!("gcp={}", gcp::RESOURCE),
        format!("azure={}/keys/{}", azure::VAULT, azure::NAME),
    ];
    let patterns = own.iter().map(String::as_str).chain(more.iter().copied());
    let allowed = patterns.map(|pattern| pattern.parse().expect("a pattern"));
    let at = || Some(address.parse().expect("an address"));
    let settings = Settings {
        allowed: AllowList(allowed.collect()),
        endpoints: Endpoints {
            aws_kms: at(),
            aws_sts: at(),
            gcp_kms: at(),
            gcp_tokens: at(),
            gcp_metadata: at(),
            azure_key_vault: at(),
            azure_tokens: at(),
        },
        patience: Duration::from_millis(1500),
        ..Settings::default()
    };
    Services::new(settings).expect("a client")
}

/// Credentials as a decryption Secret holds them.
fn secret(entry: &str, text: impl Into<String>) -> Credentials {
    let data = BTreeMap::from([(entry.to_owned(), text.into().into_bytes().into())]);
    Credentials::of_secret(&data).expect("credentials")
}

fn opened(told: &Told, wrapped: &Wrapped) -> bool {
    matches!(told.answers.get(wrapped), Some(Answer::Opened(key)) if **key == DATA_KEY)
}

fn refusal(told: &Told) -> String {
    let refusals = told.answers.values().map(|answer| match answer {
        Answer::Refused(reason) => reason.clone(),
        Answer::Opened(_) => "opened".to_owned(),
    });
    refusals.collect::<Vec<_>>().join("; ")
}

/// Asks twice: the key opens, in so many requests, and the second time it is remembered.
async fn opens(what: &str, wrapped: Wrapped, credentials: Credentials, requests: usize) {
    let service = KeyService::start();
    let services = services(&service, &[&format!("aws={}", aws::ROLE)]);
    for _ in 0..2 {
        let told = ask(&services, &credentials, vec![vec![wrapped.clone()]]).await;
        assert!(opened(&told, &wrapped), "{what}: {}", refusal(&told));
        let seen = service.requests();
        assert_eq!(seen.len(), requests, "{what}: {seen:?}");
    }
}

#[tokio::test]
async fn vault_opens_with_a_token_and_after_logins() {
    let service = KeyService::start();
    let services = services(&service, &[]);
    let approle = json!({ "roleId": vault::ROLE_ID, "secretId": vault::SECRET_ID }).to_string();
    let jwt = to_vault::Login::Jwt {
        path: "auth/kubernetes/login".to_owned(),
        role: vault::ROLE.to_owned(),
        token: Token::Given(Sensitive::new(vault::JWT)),
    };
    let kubernetes = Credentials {
        vault: Some(jwt),
        ..Credentials::default()
    };
    let wrapped = transit(&service.url());
    for (credentials, requests) in [
        (secret("sops.vault-token", format!("{}\n", vault::TOKEN)), 1),
        (secret("sops.vault-approle", approle), 2),
        (kubernetes, 2),
    ] {
        let before = service.requests().len();
        for _ in 0..2 {
            let told = ask(&services, &credentials, vec![vec![wrapped.clone()]]).await;
            assert!(opened(&told, &wrapped), "{}", refusal(&told));
            assert_eq!(service.requests().len() - before, requests);
        }
    }
}

#[tokio::test]
async fn aws_opens_with_a_key_and_with_roles() {
    let fixed = || {
        let text = json!({ "aws_access_key_id": aws::ID, "aws_secret_access_key": aws::SECRET });
        secret("sops.aws-kms", text.to_string())
    };
    opens("a user's key", kms(""), fixed(), 1).await;
    opens("the file's role", kms(aws::ROLE), fixed(), 2).await;
    let identity = to_aws::Identity::WebIdentity {
        role: aws::ROLE.to_owned(),
        token: Token::Given(Sensitive::new(aws::JWT)),
    };
    let web = Credentials {
        aws: Some(identity),
        ..Credentials::default()
    };
    opens("a token's role", kms(""), web, 2).await;
}

#[tokio::test]
async fn gcp_opens_with_an_account_and_with_identities_of_elsewhere() {
    let account = secret("sops.gcp-kms", gcp::key_file());
    opens("an account's key", cloud_kms(), account, 2).await;
    let federated = to_gcp::Identity::Federated {
        audience: gcp::AUDIENCE.to_owned(),
        kind: "urn:ietf:params:oauth:token-type:jwt".to_owned(),
        token: Token::Given(Sensitive::new(gcp::JWT)),
        account: Some(gcp::EMAIL.to_owned()),
    };
    for (what, identity, requests) in [
        ("the machine", to_gcp::Identity::MetadataServer, 2),
        ("elsewhere", federated, 3),
        (
            "a token",
            to_gcp::Identity::Token(Sensitive::new(gcp::TOKEN)),
            1,
        ),
    ] {
        let credentials = Credentials {
            gcp: Some(identity),
            ..Credentials::default()
        };
        opens(what, cloud_kms(), credentials, requests).await;
    }
}

#[tokio::test]
async fn azure_opens_with_a_secret_and_with_a_token() {
    let text = json!({
        "tenantId": azure::TENANT, "clientId": azure::CLIENT, "clientSecret": azure::SECRET,
    });
    let fixed = secret("sops.azure-kv", text.to_string());
    opens("a secret", key_vault(), fixed, 2).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{}\n", azure::JWT)).expect("a file");
    let identity = to_azure::Identity::Federated {
        tenant: azure::TENANT.to_owned(),
        client: azure::CLIENT.to_owned(),
        token: Token::File(file),
    };
    let federated = Credentials {
        azure: Some(identity),
        ..Credentials::default()
    };
    opens("a token", key_vault(), federated, 2).await;
}

#[tokio::test]
async fn whoever_a_file_names_sees_no_connection() {
    let attacker = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    attacker.set_nonblocking(true).expect("does not block");
    let address = format!("http://{}", attacker.local_addr().expect("an address"));
    let service = KeyService::start();
    let services = services(&service, &[]);
    let token = secret("sops.vault-token", vault::TOKEN);

    let other_role = kms("arn:aws:iam::444455556666:role/attacker");
    let mut host = kms("");
    host.recipient = Recipient::AwsKms {
        arn: format!(
            "arn:aws:kms:{}/:111122223333:key/1",
            attacker.local_addr().expect("one")
        ),
        role: String::new(),
        context: BTreeMap::new(),
        profile: String::new(),
    };
    let mut vault_host = key_vault();
    vault_host.recipient = Recipient::AzureKeyVault {
        vault_url: address.clone(),
        name: azure::NAME.to_owned(),
        version: String::new(),
    };
    let userinfo = address.replace("http://", "http://vault.example@");
    let entries = [
        transit(&address),
        transit(&userinfo),
        other_role,
        host,
        vault_host,
    ];
    for entry in entries {
        let told = ask(&services, &token, vec![vec![entry.clone()]]).await;
        assert!(!opened(&told, &entry) && !told.transient, "{entry:?}");
    }
    let told = ask(&services, &token, vec![vec![transit(&address)]]).await;
    let expected = format!(
        "is not allowed; whoever runs Weir allows it with --sops-allow=vault={address}/transit/weir"
    );
    assert!(refusal(&told).ends_with(&expected), "{}", refusal(&told));
    let seen = attacker.accept().map(|(_, from)| from);
    assert_eq!(
        seen.map_err(|error| error.kind()).err(),
        Some(std::io::ErrorKind::WouldBlock)
    );
    assert_eq!(service.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn hostile_servers_get_a_typed_refusal_and_no_more() {
    let service = KeyService::start();
    let elsewhere = KeyService::start();
    let services = services(&service, &[]);
    let token = secret("sops.vault-token", vault::TOKEN);
    let manners = [
        (Manner::Redirect(elsewhere.url()), "a redirect", false),
        (Manner::Slow, "does not answer in time", true),
        (Manner::Rubbish, "not what was asked for", false),
        (Manner::Flood, "too long", false),
    ];
    let began = Instant::now();
    for (manner, expected, transient) in manners {
        service.behave(manner);
        let told = ask(&services, &token, vec![vec![transit(&service.url())]]).await;
        let refusal = refusal(&told);
        assert!(refusal.contains(expected), "{refusal}");
        assert!(!refusal.contains("hush-hush"), "{refusal}");
        assert_eq!(told.transient, transient, "{refusal}");
    }
    assert!(
        began.elapsed() < Duration::from_secs(30),
        "budgets of time hold"
    );
    assert_eq!(elsewhere.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn wrong_credentials_are_told_by_a_word_of_the_server_at_most() {
    let service = KeyService::start();
    let services = services(&service, &[]);
    let aws = json!({ "aws_access_key_id": aws::ID, "aws_secret_access_key": "wrong" }).to_string();
    let azure = json!({
        "tenantId": azure::TENANT, "clientId": azure::CLIENT, "clientSecret": "wrong",
    });
    for (wrapped, credentials, expected) in [
        (
            transit(&service.url()),
            secret("sops.vault-token", "wrong"),
            "vault: the server answers 403",
        ),
        (
            kms(""),
            secret("sops.aws-kms", aws),
            "aws: the server answers 400 (InvalidSignatureException)",
        ),
        (
            key_vault(),
            secret("sops.azure-kv", azure.to_string()),
            "azure: the server answers 401 (invalid_client)",
        ),
    ] {
        let told = ask(&services, &credentials, vec![vec![wrapped]]).await;
        assert_eq!(refusal(&told), expected);
    }
    let told = ask(&services, &Credentials::default(), vec![vec![cloud_kms()]]).await;
    assert!(
        refusal(&told).contains("no sops.gcp-kms"),
        "{}",
        refusal(&told)
    );
}

#[tokio::test]
async fn one_owner_s_answers_are_not_another_s() {
    let service = KeyService::start();
    let services = services(&service, &[]);
    let wrapped = transit(&service.url());
    let ours = secret("sops.vault-token", vault::TOKEN);
    let told = ask(&services, &ours, vec![vec![wrapped.clone()]]).await;
    assert!(opened(&told, &wrapped), "{}", refusal(&told));
    let theirs = secret("sops.vault-token", "another");
    let told = ask(&services, &theirs, vec![vec![wrapped.clone()]]).await;
    assert!(!opened(&told, &wrapped));
}

#[tokio::test]
async fn the_next_entry_of_a_group_is_asked_when_one_refuses_and_groups_at_once() {
    let service = KeyService::start();
    let slow = KeyService::start();
    slow.behave(Manner::Slow);
    let pattern = format!("vault={}/transit/weir", slow.url());
    let services = services(&service, &[&pattern]);
    let ours = secret("sops.vault-token", vault::TOKEN);
    let groups: Vec<Vec<Wrapped>> = (0..6u8)
        .map(|number| {
            let mut stuck = transit(&slow.url());
            stuck.ciphertext = vault::wrap(&[number; 32]);
            vec![stuck, transit(&service.url())]
        })
        .collect();
    let began = Instant::now();
    let told = ask(&services, &ours, groups).await;
    assert!(
        opened(&told, &transit(&service.url())),
        "{}",
        refusal(&told)
    );
    // One after the other the six would take nine seconds.
    assert!(
        began.elapsed() < Duration::from_secs(6),
        "{:?}",
        began.elapsed()
    );
}
