//! Builds that need key services: one build says what to ask for, the next has the answers.

use sops::Wrapped;

use super::inputs::Inputs;
use super::render::Rendered;
use crate::api::kustomization::reason;
use crate::report::failure::{Again, Failure};
use crate::unwrap;

/// How many builds there are at most: one for each depth of encrypted files in encrypted files, and the last.
const ROUNDS: usize = 4;

/// One build.
pub struct Attempt {
    /// What it took in.
    pub inputs: Inputs,
    /// What came of it; counts only when nothing is left to ask for.
    pub outcome: Result<Rendered, Failure>,
    /// The wrapped data keys that files wait for, by file and key group.
    pub asked: Vec<Vec<Wrapped>>,
}

/// Builds until nothing is left to ask for. What was refused is an error of the file that needs it.
pub async fn settle<B: Future<Output = Result<Attempt, Failure>>>(
    mut inputs: Inputs,
    build: impl Fn(Inputs) -> B,
) -> Result<Rendered, Failure> {
    let mut transient = false;
    for _ in 0..ROUNDS {
        let attempt = build(inputs).await?;
        if attempt.asked.is_empty() {
            return attempt.outcome.map_err(|failure| match transient {
                true => failure.again(Again::Backoff),
                false => failure,
            });
        }
        inputs = attempt.inputs;
        transient |= ask(&mut inputs, attempt.asked).await?;
    }
    let message = format!("encrypted files lie in one another more than {ROUNDS} deep");
    Err(Failure::new(reason::BUILD_FAILED, message))
}

/// Asks, and says whether a refusal may pass by itself.
async fn ask(inputs: &mut Inputs, asked: Vec<Vec<Wrapped>>) -> Result<bool, Failure> {
    let (Some(keys), Some(services)) = (&inputs.keys, &inputs.decrypting.services) else {
        return Ok(false);
    };
    let told = match &keys.lookup {
        Some(lookup) => {
            let credentials = lookup.complete(&keys.credentials).await?;
            unwrap::ask(services, &credentials, asked).await
        }
        None => unwrap::ask(services, &keys.credentials, asked).await,
    };
    inputs.answers.extend(told.answers);
    Ok(told.transient)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use sops::Recipient;

    use super::*;

    /// How often is built when the first `asking` builds have something to ask for.
    async fn builds(asking: usize) -> (usize, String) {
        let count = Cell::new(0);
        let asked = || {
            let recipient = Recipient::GcpKms {
                resource_id: "key".to_owned(),
            };
            vec![vec![Wrapped {
                recipient,
                ciphertext: String::new(),
                created_at: None,
            }]]
        };
        let build = |inputs| {
            count.set(count.get() + 1);
            let more = count.get() <= asking;
            std::future::ready(Ok(Attempt {
                inputs,
                outcome: Err(Failure::new(reason::BUILD_FAILED, "the last build's word")),
                asked: if more { asked() } else { Vec::new() },
            }))
        };
        let outcome = settle(Inputs::default(), build).await;
        let said = outcome.map(drop).map_err(|failure| failure.message);
        (count.get(), said.expect_err("a failure"))
    }

    #[tokio::test]
    async fn one_build_asks_and_one_has_the_answers() {
        assert_eq!(builds(0).await, (1, "the last build's word".to_owned()));
        assert_eq!(builds(1).await, (2, "the last build's word".to_owned()));
        let (count, said) = builds(ROUNDS).await;
        assert_eq!(count, ROUNDS);
        assert!(said.ends_with("more than 4 deep"), "{said}");
    }
}
