//! The commit messages of promotions and rollbacks, with trailers for those who read `git log`.

use super::plan::Promotion;
use super::record::{Override, Record};

/// The trailer that repeats a record for people.
pub const TRAILER: &str = "Weir-Promotion";

/// The message of a promotion.
pub fn promotion(promotion: &Promotion) -> String {
    let scope = &promotion.scope;
    let written: Vec<_> = promotion.apps.iter().filter(|app| app.is_noted).collect();
    let names: Vec<&str> = written.iter().map(|app| app.name.as_str()).collect();
    let mut text = format!(
        "Promote {} from {} to {}\n\n",
        names.join(", "),
        scope.from.name,
        scope.to.name
    );
    for path in promotion
        .changes
        .keys()
        .filter(|path| !path.starts_with('.'))
    {
        text.push_str(&format!("- {}\n", one_line(path)));
    }
    text.push('\n');
    let mut overrides: Vec<&Override> = Vec::new();
    for app in &written {
        text.push_str(&trailer(&app.name, &app.record));
        overrides.extend(
            app.record
                .overrides
                .iter()
                .filter(|it| !overrides.contains(it))
                .collect::<Vec<_>>(),
        );
    }
    for overridden in overrides {
        text.push_str(&format!(
            "Weir-Override: {}: {}\n",
            overridden.refusal,
            one_line(&overridden.reason)
        ));
    }
    text
}

/// The line that repeats a record.
pub fn trailer(app: &str, record: &Record) -> String {
    format!(
        "{TRAILER}: app={app} from={}@{} to={}\n",
        record.from, record.commit, record.to
    )
}

/// A reason that cannot end the trailer.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
