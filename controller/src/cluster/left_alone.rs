//! Objects that ask, in the cluster, to be left alone: nothing is asked about them while they do, and they are looked
//! at again when they do so no more, whatever has been written and whatever is wanted by then.

use super::live::{ObjectKey, Proof, Shows};
use super::owner::Owner;
use super::plan::{Action, Known, Skip, Step};

/// Notes of a step that was looked at that its object asks to be left alone. Only what the watches show as ours can
/// be noted: nothing else would tell when it ends.
pub(super) fn note(step: &mut Step, owner: &Owner, known: &Known) {
    if !matches!(
        step.action,
        Action::Skip(Skip::ReconcileDisabled | Skip::Ignored)
    ) {
        return;
    }
    let key = ObjectKey::from(&step.id);
    let observed = known.live.get(&key);
    let own = observed.filter(|observed| observed.owner.as_ref() == Some(owner));
    let applied = known.proofs.get(&key).map(|proof| proof.desired);
    step.proof = own.map(|own| Proof::left_alone(applied, own.uid));
}

/// What is to be done with an object that agrees with its proof.
pub(super) fn action(proof: Option<&Proof>, asks: Option<Skip>) -> Action {
    let is_left = proof.is_some_and(|proof| proof.shows == Shows::LeftAlone);
    asks.filter(|_| is_left)
        .map_or(Action::Unchanged, Action::Skip)
}
