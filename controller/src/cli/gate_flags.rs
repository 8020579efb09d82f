//! The flags of the prune gate: how many deletions at once wait for a person's word.

use clap::{Args, value_parser};

use crate::reconcile::gate::Thresholds;

#[derive(Args)]
#[command(next_help_heading = "Prune gate")]
pub(super) struct GateFlags {
    /// Hold the deletions that a new render causes when they are more objects than this, and more of the inventory than
    /// --prune-gate-percent. The whole inventory, Namespaces, PersistentVolumeClaims and definitions are always held.
    #[arg(long, value_name = "COUNT", default_value_t = Thresholds::default().objects)]
    prune_gate_objects: usize,
    /// The part of the inventory, in percent, that --prune-gate-objects goes with.
    #[arg(long, value_name = "PERCENT", default_value_t = Thresholds::default().percent, value_parser = value_parser!(u8).range(0..=100))]
    prune_gate_percent: u8,
}

impl GateFlags {
    /// From when on deletions are held.
    pub(super) fn thresholds(&self) -> Thresholds {
        Thresholds {
            objects: self.prune_gate_objects,
            percent: self.prune_gate_percent,
        }
    }
}
