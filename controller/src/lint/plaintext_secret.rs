//! Rule: what is secret and lies in the repository for everyone to read: Secrets, the inputs of secretGenerators, and
//! private keys. Values are looked at and never repeated.

use overlay::path::{clean, join};
use overlay::yaml::{Mark, Node};
use overlay::{EntryKind, TreeError};
use sops::{Recipe, Recipient, Rule};

use super::files::File;
use super::fix::Fix;
use super::secret_values::{Lies, Readable, readable};
use super::{Finding, Site};

/// How private keys begin.
const PRIVATE_KEYS: [&str; 2] = ["AGE-SECRET-KEY-", "PRIVATE KEY-----"];

/// Looks through all files: an encrypted one may hold values that nobody encrypted.
pub(super) fn find(site: &Site<'_>) -> Result<Vec<Finding>, TreeError> {
    let mut found = Vec::new();
    for file in &site.files {
        found.extend(private_key(file));
        for document in &file.documents {
            for secret in readable(file, document) {
                found.push(secret_told(site, file, &secret)?);
            }
            if file.is_kustomization() && !file.is_encrypted {
                found.extend(generated(site, file, document)?);
            }
        }
    }
    Ok(found)
}

/// A private key in any file.
fn private_key(file: &File) -> Option<Finding> {
    let text = std::str::from_utf8(&file.bytes).ok()?;
    let holds = |line: &str| PRIVATE_KEYS.iter().any(|mark| line.contains(mark));
    let line = text
        .lines()
        .position(|line| holds(line) && !line.contains("ENC["))?;
    let mark = Mark {
        line: u32::try_from(line + 1).unwrap_or_default(),
        ..Mark::default()
    };
    let message = "a private key lies in the repository".to_owned();
    Some(
        Finding::new(file.place(mark), message)
            .hint("remove it, and make a new one: Git keeps what it has seen"),
    )
}

/// A Secret with values, and how it is mended where that is the file's own matter.
fn secret_told(site: &Site<'_>, file: &File, secret: &Readable) -> Result<Finding, TreeError> {
    let kind = format!("Secret {}", secret.name);
    let message = format!(
        "{}: {} can be read by all who can read the repository",
        kind.trim_end(),
        secret.keys.join(", ")
    );
    let hint = match secret.lies {
        Lies::Document if file.is_encrypted => {
            "the rest of the file is encrypted: encrypt it as a whole, by a rule that has this field, too; take the value for known"
        }
        Lies::Document => return told(site, file, &file.path, secret.mark, message),
        Lies::List => {
            "write it as a document of its own, and encrypt that; take the value for known"
        }
        Lies::Patch => "keep it in an encrypted Secret; take the value for known",
    };
    Ok(Finding::new(file.place(secret.mark), message).hint(hint))
}

/// What a secretGenerator is given.
fn generated(site: &Site<'_>, file: &File, document: &Node) -> Result<Vec<Finding>, TreeError> {
    let mut found = Vec::new();
    let list = |node: &Node, field: &str| -> Vec<Node> {
        node.get(field)
            .and_then(Node::as_sequence)
            .map(<[Node]>::to_vec)
            .unwrap_or_default()
    };
    for generator in list(document, "secretGenerator") {
        let name = generator.find_str(&["name"]).unwrap_or_default();
        let literals = list(&generator, "literals");
        let is_literal = |literal: &&Node| {
            let value = literal
                .as_str()
                .and_then(|text| text.split_once('='))
                .map(|(_, value)| value);
            value.is_some_and(|value| !value.is_empty() && !value.contains("${"))
        };
        if let Some(literal) = literals.iter().find(is_literal) {
            let message = format!(
                "secretGenerator {name}: its literals can be read by all who can read the repository"
            );
            found.push(
                Finding::new(file.place(literal.mark), message)
                    .hint("put them into an encrypted file, named in `envs` or `files`"),
            );
        }
        let inputs = ["files", "envs"]
            .into_iter()
            .flat_map(|field| list(&generator, field));
        for input in inputs.chain(generator.get("env").cloned()) {
            found.extend(input_of(site, file, name, &input)?);
        }
    }
    Ok(found)
}

/// A file that a secretGenerator reads.
fn input_of(
    site: &Site<'_>,
    file: &File,
    generator: &str,
    input: &Node,
) -> Result<Option<Finding>, TreeError> {
    let text = input.as_str().unwrap_or_default();
    let path = text.split_once('=').map_or(text, |(_, path)| path);
    let Some(path) = clean(file.folder(), path) else {
        return Ok(None);
    };
    let plain = site
        .files
        .iter()
        .find(|other| other.path == path && !other.is_encrypted);
    if plain.is_none_or(|plain| plain.bytes.is_empty()) {
        return Ok(None);
    }
    let message = format!(
        "secretGenerator {generator}: {path} can be read by all who can read the repository"
    );
    told(site, file, &path, input.mark, message).map(Some)
}

/// The finding, and how it is mended where the rules of a `.sops.yaml` say for whom to encrypt.
fn told(
    site: &Site<'_>,
    file: &File,
    path: &str,
    mark: Mark,
    message: String,
) -> Result<Finding, TreeError> {
    let finding = Finding::new(file.place(mark), message);
    let Some((rules, recipe)) = recipe(site, path)? else {
        return Ok(finding.hint(format!(
            "`weir secrets encrypt -i --age RECIPIENT {path}` encrypts it; take the value for known"
        )));
    };
    let can_be_read = site
        .leaves()
        .all(|(_, leaf)| leaf.spec.decryption.is_some() || !leaf.touches(path));
    let for_age = recipe
        .groups
        .iter()
        .flatten()
        .all(|recipient| matches!(recipient, Recipient::Age { .. }));
    let keeps_kind = matches!(
        recipe.rule,
        Rule::EncryptedRegex(_) | Rule::EncryptedSuffix(_)
    ) || path != file.path;
    Ok(match can_be_read && for_age && keeps_kind {
        true => Finding {
            fix: Some(Fix::Encrypt {
                file: path.to_owned(),
                rules,
            }),
            ..finding.hint("`--fix` encrypts it; take the value for known all the same")
        },
        false if !can_be_read => {
            finding.hint("encrypt it, and let each Kustomization that reads it say `decryption`")
        }
        false => finding.hint(format!(
            "`weir secrets encrypt -i {path}` encrypts it; take the value for known"
        )),
    })
}

/// The nearest rules above a file, and the recipe that they have for it.
fn recipe(site: &Site<'_>, path: &str) -> Result<Option<(String, Recipe)>, TreeError> {
    let mut folder = path;
    while let Some((above, _)) = folder
        .rsplit_once('/')
        .or((!folder.is_empty()).then_some(("", "")))
    {
        let rules = join(above, sops::RULES_FILE);
        if site.tree.kind(&rules)? == Some(EntryKind::File) {
            let inner = path
                .strip_prefix(above)
                .unwrap_or(path)
                .trim_start_matches('/');
            let recipe = sops::recipe(&site.tree.read(&rules)?, inner).ok().flatten();
            return Ok(recipe.map(|recipe| (rules, recipe)));
        }
        folder = above;
    }
    Ok(None)
}
