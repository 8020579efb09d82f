//! Which forge a command talks to: its flags, else the CI job around it, else the address of the remote `origin`.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use zeroize::Zeroizing;

use super::ci_job::Job;
use super::promote::git::Git;
use super::proxies::proxies;
use super::{Failure, setting};
use crate::forge::{self, Forge, Place, api_of, place_of};

/// Where tokens lie in the environment: for any forge, then for one.
const TOKEN: &str = "WEIR_FORGE_TOKEN";
const TOKENS: [(forge::Kind, &str); 4] = [
    (forge::Kind::GitHub, "GITHUB_TOKEN"),
    (forge::Kind::GitLab, "GITLAB_TOKEN"),
    (forge::Kind::Gitea, "GITEA_TOKEN"),
    // Actions of Gitea and Forgejo find theirs by the name that GitHub gave it.
    (forge::Kind::Gitea, "GITHUB_TOKEN"),
];

/// Flags of every command that talks to a forge.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Forge")]
pub(super) struct ForgeFlags {
    /// Whose API is spoken; default what the CI job or the name of the server says.
    #[arg(long, value_enum)]
    forge: Option<Kind>,
    /// Where the API begins, such as `https://git.example.com/api/v1`; default that of the CI job or of the server.
    #[arg(long, value_name = "URL")]
    forge_api: Option<String>,
    /// The repository there; default that of the CI job or of the remote `origin`.
    #[arg(long, value_name = "OWNER/NAME")]
    forge_repository: Option<String>,
    /// A file with the token; default `$WEIR_FORGE_TOKEN`, then `$GITHUB_TOKEN`, `$GITLAB_TOKEN` or `$GITEA_TOKEN`.
    #[arg(long, value_name = "FILE")]
    forge_token_file: Option<PathBuf>,
}

/// Whose API is spoken.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// GitHub, GitHub Enterprise Server.
    #[value(name = "github")]
    GitHub,
    /// GitLab.
    #[value(name = "gitlab")]
    GitLab,
    /// Gitea and Forgejo.
    #[value(name = "gitea", alias = "forgejo")]
    Gitea,
}

impl From<Kind> for forge::Kind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::GitHub => Self::GitHub,
            Kind::GitLab => Self::GitLab,
            Kind::Gitea => Self::Gitea,
        }
    }
}

impl ForgeFlags {
    /// The forge of the repository that a folder is in.
    pub(super) fn forge(&self, job: &Job, folder: &Path) -> Result<Forge, Failure> {
        let place = origin(folder);
        let kind = self.forge.map(forge::Kind::from).or(job.kind);
        let kind = kind.or_else(|| place.as_ref()?.kind());
        let kind = kind.ok_or_else(|| unknown("which forge it is", "--forge gitea"))?;
        let of_place = || place.as_ref().map(|place| api_of(kind, place));
        let api = self.forge_api.clone().or_else(|| job.api.clone());
        let api = api.or_else(of_place);
        let api =
            api.ok_or_else(|| unknown("where its API is", "--forge-api https://HOST/api/v1"))?;
        let repository = self.forge_repository.clone();
        let repository = repository.or_else(|| job.repository.clone());
        let repository = repository.or_else(|| place.as_ref().map(|it| it.repository.clone()));
        let repository =
            repository.ok_or_else(|| unknown("the repository", "--forge-repository OWNER/NAME"))?;
        Forge::new(kind, &api, &repository, self.token(kind)?, &proxies())
            .map_err(|error| Failure::new(error.to_string()))
    }

    fn token(&self, kind: forge::Kind) -> Result<Zeroizing<String>, Failure> {
        if let Some(file) = &self.forge_token_file {
            let text = std::fs::read_to_string(file);
            let text = text.map_err(|error| Failure::io("reading", file, &error))?;
            return Ok(Zeroizing::new(text.trim().to_owned()));
        }
        let of_kind = TOKENS.iter().filter(|(of, _)| *of == kind);
        let mut names = std::iter::once(TOKEN).chain(of_kind.map(|(_, name)| *name));
        let found = names.find_map(setting).map(Zeroizing::new);
        found.ok_or_else(|| {
            Failure::with_hint(
                "no token for the forge",
                format!(
                    "`${TOKEN}` or `--forge-token-file` gives one that may write to pull requests"
                ),
            )
        })
    }
}

/// Where the remote `origin` of a folder's repository lies.
fn origin(folder: &Path) -> Option<Place> {
    let url = Git::at(folder).run(&["config", "--get", "remote.origin.url"]);
    place_of(&url.ok()?)
}

fn unknown(what: &str, flag: &str) -> Failure {
    Failure::with_hint(
        format!("neither this CI job nor the remote `origin` says {what}"),
        format!("`{flag}` does"),
    )
}
