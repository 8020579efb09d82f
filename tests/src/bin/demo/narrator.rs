//! What the demo prints: chapters, what happened, and how long it took.

use std::path::Path;
use std::time::{Duration, Instant};

/// Knows when the demo began.
pub(crate) struct Narrator {
    begun: Instant,
}

impl Narrator {
    pub(crate) fn start() -> Self {
        Self {
            begun: Instant::now(),
        }
    }

    /// Begins a part of the story.
    pub(crate) fn chapter(&self, title: &str) {
        println!("\n[{:5.1} s] {title}", self.begun.elapsed().as_secs_f64());
    }

    /// Shows what a person would type or do.
    pub(crate) fn act(&self, what: &str) {
        println!("          $ {what}");
    }

    /// Says what came of it.
    pub(crate) fn done(&self, what: &str) {
        println!("          ✔ {what}");
    }

    /// Says what came of it, and how long it took.
    pub(crate) fn took(&self, what: &str, time: Duration) {
        self.done(&format!("{what} ({})", human(time)));
    }

    /// Tells where to look further.
    pub(crate) fn end(&self, kubeconfig: &Path, repository: &Path) {
        self.chapter("The end. With KEEP=1 all of this stays up, and you can go on:");
        self.act(&format!("export KUBECONFIG={}", kubeconfig.display()));
        self.act("kubectl get kustomizations,gitrepositories -A");
        self.act("weir get all -A");
        self.act(&format!(
            "cd {}   # edit, git commit, git push",
            repository.display()
        ));
        self.act("weir reconcile apps --with-source");
    }
}

/// Milliseconds below a second, tenths of a second above.
fn human(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}
