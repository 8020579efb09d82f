//! `weir build -o DIR`: one file an object.

use std::collections::BTreeMap;
use std::path::Path;

use overlay::Object;

use crate::cli::Failure;

/// One file an object, named as kustomize names them: `apps_v1_deployment_shop.yaml`, with the namespace in
/// front where two objects would share a name.
pub(super) fn write(objects: &[Object], folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|error| Failure::io("creating", folder, &error))?;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for object in objects {
        *counts.entry(file_name(object)).or_default() += 1;
    }
    for object in objects {
        let mut name = file_name(object);
        if counts[&name] > 1 {
            name = format!("{}_{name}", object.id.namespace);
        }
        let path = folder.join(name);
        let text = overlay::yaml::write_documents(&[&object.node]);
        std::fs::write(&path, text).map_err(|error| Failure::io("writing", &path, &error))?;
    }
    Ok(())
}

fn file_name(object: &Object) -> String {
    let id = &object.id;
    let parts = [&id.group, &id.version, &id.kind, &id.name];
    let parts: Vec<&str> = parts
        .iter()
        .map(|part| part.as_str())
        .filter(|part| !part.is_empty())
        .collect();
    // A name may hold `:` and `/` (RBAC); a file name may not leave the folder.
    format!(
        "{}.yaml",
        parts
            .join("_")
            .to_lowercase()
            .replace(['/', '\\', ':'], "_")
    )
}
