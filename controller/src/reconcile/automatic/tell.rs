//! Saying what was decided where people look: an event, the log, and what is published.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Settings;
use crate::promotion::auto::Published;
use crate::reconcile::context::Context;
use crate::report::events::{Event, Severity};
use crate::report::git_repository::reference;

/// The reason of the events.
const REASON: &str = "Promotion";

/// A sentence, what it is about, and whether a person must see to it.
pub(super) struct Told {
    pub(super) about: String,
    pub(super) sentence: String,
    pub(super) severity: Severity,
}

/// Says a decision, unless it is the last that was said of this.
pub(super) fn tell(
    context: &Context,
    settings: &Settings,
    next: &mut Published,
    told: &Told,
    now: Timestamp,
) {
    if !next.tell(now, &told.about, &told.sentence) {
        return;
    }
    let sentence = format!("{}: {}", told.about, told.sentence);
    tracing::info!(environment = settings.environment, "{sentence}");
    event(context, settings, told.severity, &sentence);
}

/// An event of the GitRepository.
pub(super) fn event(context: &Context, settings: &Settings, severity: Severity, message: &str) {
    if let Some(object) = context.git_repository(&settings.source) {
        context.events.send(Event {
            object: reference(&object),
            severity,
            reason: REASON.to_owned(),
            message: message.to_owned(),
            metadata: BTreeMap::new(),
        });
    }
}
