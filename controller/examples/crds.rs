//! Writes the custom resource definitions to `deploy/crds`: run it after every change of the types.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/crds");
    for (name, text) in weir::api::definitions::files() {
        std::fs::write(folder.join(name), text)?;
    }
    Ok(())
}
