//! Objects of a storage that speaks S3: listed, and downloaded as far as their tags are others than before.
//!
//! ```text
//! Bucket ──list──▶ Index (name and tag of each object) ──revision──▶ sha256:…
//!                    └──fetch, what is new──▶ Taken (the files)
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use overlay::Tree;
use reqwest::header::{ETAG, USER_AGENT};
use reqwest::{Response, StatusCode, Url};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::SourceError;
use super::access::{Access, SecretData};
use super::client::innermost;
use super::ignore::Rules;
use super::refresh::Repositories;
use super::unpacked::{Budget, Unpacked};
use crate::signature_v4::{Scope, Signed, SigningKey, authority, authorization, date, hex};

/// The file with patterns of objects that are left out.
const IGNORE: &str = ".sourceignore";

/// The region of storages that name none.
const REGION: &str = "us-east-1";

/// Objects that are downloaded together.
const TOGETHER: usize = 8;

/// As many bytes as a page of a list may have.
const PAGE_LIMIT: usize = 16 << 20;

/// Who asks.
const AGENT: &str = concat!("weir/", env!("CARGO_PKG_VERSION"));

/// Why a bucket could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BucketError {
    /// The endpoint is none.
    #[error("the endpoint '{0}' is not a host")]
    Endpoint(String),
    /// The Secret does not hold a key.
    #[error("invalid '{0}' secret data: required fields 'accesskey' and 'secretkey'")]
    Secret(String),
    /// It is not there.
    #[error("bucket '{0}' not found")]
    NotFound(String),
    /// It could not be listed.
    #[error("indexation of objects from bucket '{bucket}' failed: {problem}")]
    List {
        /// Its name.
        bucket: String,
        /// What is wrong.
        problem: String,
    },
    /// An object could not be had.
    #[error("fetch from bucket '{bucket}' failed: failed to get '{key}' object: {problem}")]
    Get {
        /// Its name.
        bucket: String,
        /// The object's name.
        key: String,
        /// What is wrong.
        problem: String,
    },
}

/// The names of objects, and the tags that change with their bytes.
pub type Index = BTreeMap<String, String>;

/// What was downloaded.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Which objects.
    pub index: Index,
    /// Their bytes, by their names.
    pub files: Arc<Unpacked>,
}

/// A bucket, and the way there.
pub struct Bucket {
    client: reqwest::Client,
    base: Url,
    name: String,
    region: String,
    key: Option<SigningKey>,
}

/// What a spec says of a bucket.
pub struct Place<'a> {
    /// Host and port.
    pub endpoint: &'a str,
    /// Without TLS.
    pub insecure: bool,
    /// Its name.
    pub name: &'a str,
    /// The region.
    pub region: Option<&'a str>,
}

/// Reads the key of a Secret, which goes by this name.
pub fn key(name: &str, data: &SecretData) -> Result<Credentials, BucketError> {
    let text = |key: &str| {
        let bytes = data.get(key).filter(|bytes| !bytes.is_empty());
        bytes.map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned())
    };
    match (text("accesskey"), text("secretkey")) {
        (Some(id), Some(secret)) => Ok(Credentials(SigningKey {
            id,
            secret: Zeroizing::new(secret),
            session: None,
        })),
        _ => Err(BucketError::Secret(name.to_owned())),
    }
}

/// Who asks.
pub struct Credentials(SigningKey);

impl Bucket {
    /// The way to a bucket; without credentials it is asked as anybody may.
    pub fn new(
        repositories: &Repositories,
        place: &Place<'_>,
        access: &Access,
        credentials: Option<Credentials>,
    ) -> Result<Result<Self, BucketError>, SourceError> {
        let client = repositories.client(access)?;
        let scheme = if place.insecure { "http" } else { "https" };
        let refuse = || BucketError::Endpoint(place.endpoint.to_owned());
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        if !place.endpoint.bytes().all(is_host) {
            return Ok(Err(refuse()));
        }
        let name = encoded(place.name, false);
        let Ok(base) = Url::parse(&format!("{scheme}://{}/{name}", place.endpoint)) else {
            return Ok(Err(refuse()));
        };
        Ok(Ok(Self {
            client,
            base,
            name: place.name.to_owned(),
            region: place.region.unwrap_or(REGION).to_owned(),
            key: credentials.map(|credentials| credentials.0),
        }))
    }

    /// The names and tags of all objects but those that patterns leave out: the bucket's own, then the spec's.
    pub async fn index(
        &self,
        prefix: Option<&str>,
        ignore: Option<&str>,
    ) -> Result<Index, BucketError> {
        let own = self.get(IGNORE).await?;
        let own = own.map(|(bytes, _)| String::from_utf8_lossy(&bytes).into_owned());
        let texts = own.iter().map(String::as_str).chain(ignore);
        let rules = Rules::alone(texts.map(|text| ("", text)));
        let listed = self.list(prefix.unwrap_or_default()).await?;
        let is_taken = |key: &String| !key.ends_with('/') && key != IGNORE && !rules.leave_out(key);
        Ok(listed
            .into_iter()
            .filter(|(key, _)| is_taken(key))
            .collect())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<(String, String)>, BucketError> {
        let failed = |problem: String| BucketError::List {
            bucket: self.name.clone(),
            problem,
        };
        let (mut objects, mut token) = (Vec::new(), None::<String>);
        loop {
            // In the order that the signature wants.
            let continued = token.map(|token| ("continuation-token", token));
            let fixed = [("list-type", "2".to_owned()), ("prefix", prefix.to_owned())];
            let query: Vec<(&str, String)> = continued.into_iter().chain(fixed).collect();
            let response = self.send("", &query).await.map_err(failed)?;
            if response.status() == StatusCode::NOT_FOUND {
                return Err(BucketError::NotFound(self.name.clone()));
            }
            let page = body(answered(response).map_err(failed)?, PAGE_LIMIT as u64).await;
            let page = page.and_then(|bytes| Page::read(&bytes)).map_err(failed)?;
            objects.extend(page.objects);
            if objects.len() > Budget::default().entries {
                return Err(failed("it has too many objects".to_owned()));
            }
            match page.next {
                Some(next) => token = Some(next),
                None => return Ok(objects),
            }
        }
    }

    /// The bytes of an object and its tag; nothing when it is not there.
    async fn get(&self, key: &str) -> Result<Option<(Vec<u8>, String)>, BucketError> {
        let failed = |problem: String| BucketError::Get {
            bucket: self.name.clone(),
            key: key.to_owned(),
            problem,
        };
        let response = self.send(key, &[]).await.map_err(failed)?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let response = answered(response).map_err(failed)?;
        let tag = response
            .headers()
            .get(ETAG)
            .and_then(|tag| tag.to_str().ok());
        let tag = tag.unwrap_or_default().trim_matches('"').to_owned();
        let bytes = body(response, Budget::default().bytes)
            .await
            .map_err(failed)?;
        Ok(Some((bytes, tag)))
    }

    /// Downloads the objects of an index, but for those whose bytes are at hand. What has gone or changed meanwhile is
    /// gone or changed in the index, too.
    pub async fn fetch(&self, index: Index, earlier: Option<&Taken>) -> Result<Taken, BucketError> {
        let gets = index.into_iter().map(|(key, tag)| async move {
            let same = |earlier: &&Taken| earlier.index.get(&key) == Some(&tag);
            if let Some(known) = earlier
                .filter(same)
                .and_then(|taken| taken.files.read(&key).ok())
            {
                return Ok(Some((key, tag, known.to_vec())));
            }
            let got = self.get(&key).await?;
            Ok(got.map(|(bytes, tag)| (key, tag, bytes)))
        });
        let gets = stream::iter(gets).buffered(TOGETHER);
        let (mut index, mut files, mut left) = (Index::new(), Vec::new(), Budget::default().bytes);
        futures::pin_mut!(gets);
        while let Some(got) = gets.try_next().await? {
            let Some((key, tag, bytes)) = got else {
                continue;
            };
            left = left
                .checked_sub(bytes.len() as u64)
                .ok_or_else(|| BucketError::List {
                    bucket: self.name.clone(),
                    problem: "its objects have too many bytes".to_owned(),
                })?;
            index.insert(key.clone(), tag);
            files.push((key, bytes));
        }
        let files = Unpacked::of(files, Budget::default()).map_err(|error| BucketError::List {
            bucket: self.name.clone(),
            problem: error.to_string(),
        })?;
        Ok(Taken {
            index,
            files: Arc::new(files),
        })
    }

    async fn send(&self, key: &str, query: &[(&str, String)]) -> Result<Response, String> {
        let path = match key {
            "" => self.base.path().to_owned(),
            key => format!("{}/{}", self.base.path(), encoded(key, true)),
        };
        let pair = |(name, value): &(&str, String)| format!("{name}={}", encoded(value, false));
        let query = query.iter().map(pair).collect::<Vec<_>>().join("&");
        let mut url = self.base.clone();
        url.set_path(&path);
        url.set_query(Some(query.as_str()).filter(|query| !query.is_empty()));
        if url.path() != path {
            return Err("its name is not one of a file".to_owned());
        }
        let mut request = self.client.get(url.clone()).header(USER_AGENT, AGENT);
        if let Some(key) = &self.key {
            let scope = Scope {
                region: &self.region,
                service: "s3",
                time: Timestamp::now(),
            };
            let (host, time, body) = (authority(&url), date(&scope), hex(&Sha256::digest(b"")));
            let signed = Signed {
                method: "GET",
                path: &path,
                query: &query,
                headers: vec![
                    ("host", &host),
                    ("x-amz-content-sha256", &body),
                    ("x-amz-date", &time),
                ],
                body: &body,
            };
            let authorization = authorization(signed, key, &scope);
            request = request
                .header("x-amz-content-sha256", &body)
                .header("x-amz-date", &time)
                .header("authorization", authorization);
        }
        request.send().await.map_err(|error| innermost(&error))
    }
}

/// The revision of an index: its digest.
pub fn revision(index: &Index) -> String {
    let mut digest = Sha256::new();
    for (key, tag) in index {
        digest.update(format!("{key} {tag}\n"));
    }
    format!("sha256:{:x}", digest.finalize())
}

fn answered(response: Response) -> Result<Response, String> {
    match response.status() {
        status if status.is_success() => Ok(response),
        StatusCode::FORBIDDEN => Err("Access Denied.".to_owned()),
        status => Err(format!("unexpected status {}", status.as_u16())),
    }
}

async fn body(mut response: Response, limit: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| innermost(&error))? {
        if (bytes.len() + chunk.len()) as u64 > limit {
            return Err(format!("it has more than {limit} bytes"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Percent-encoded as the signature wants it.
fn encoded(text: &str, is_path: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(byte.into())
            }
            b'/' if is_path => encoded.push('/'),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// One page of a list.
#[derive(Debug, PartialEq, Eq)]
struct Page {
    objects: Vec<(String, String)>,
    next: Option<String>,
}

impl Page {
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let document = roxmltree::Document::parse(text).map_err(|error| error.to_string())?;
        let root = document.root_element();
        let text = |node: roxmltree::Node<'_, '_>, name: &str| {
            let found = node
                .children()
                .find(|child| child.tag_name().name() == name);
            found.and_then(|child| child.text()).map(str::to_owned)
        };
        let contents = root
            .children()
            .filter(|child| child.tag_name().name() == "Contents");
        let object = |node| {
            Some((
                text(node, "Key")?,
                text(node, "ETag")?.trim_matches('"').to_owned(),
            ))
        };
        let is_cut = text(root, "IsTruncated").as_deref() == Some("true");
        Ok(Self {
            objects: contents.filter_map(object).collect(),
            next: text(root, "NextContinuationToken").filter(|_| is_cut),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_a_list_is_read() {
        let text = r#"<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
            <IsTruncated>true</IsTruncated><NextContinuationToken>next</NextContinuationToken>
            <Contents><Key>a&amp;b/c.yaml</Key><ETag>&quot;abc&quot;</ETag><Size>1</Size></Contents>
            </ListBucketResult>"#;
        let page = Page::read(text.as_bytes()).expect("a page");
        let objects = vec![("a&b/c.yaml".to_owned(), "abc".to_owned())];
        let next = Some("next".to_owned());
        assert_eq!(page, Page { objects, next });
        assert!(Page::read(b"<html>").is_err());
    }

    #[test]
    fn names_are_encoded_as_the_signature_wants_them() {
        assert_eq!(encoded("a b/ä+c.yaml", true), "a%20b/%C3%A4%2Bc.yaml");
        assert_eq!(encoded("a/b", false), "a%2Fb");
    }

    #[test]
    fn the_revision_is_that_of_names_and_tags() {
        let index = Index::from([("b".into(), "2".into()), ("a".into(), "1".into())]);
        let expected = format!("sha256:{:x}", Sha256::digest("a 1\nb 2\n"));
        assert_eq!(revision(&index), expected);
    }
}
