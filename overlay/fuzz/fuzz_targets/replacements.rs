//! Any value into any field: the first lines of the input are the two field paths and the delimiter, the rest is
//! the object.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_overlay_fuzz::build_twice;

/// Text as a double-quoted scalar.
fn quoted(text: &str) -> String {
    let escaped: String = text
        .chars()
        .map(|char| format!("\\U{:08x}", u32::from(char)))
        .collect();
    format!("\"{escaped}\"")
}

fuzz_target!(|input: &str| {
    let mut lines = input.splitn(4, '\n');
    let mut next = || lines.next().unwrap_or_default();
    let (from, to, delimiter, object) = (next(), next(), next(), next());
    for (create, index) in [(false, 0), (true, 1), (true, -1)] {
        let kustomization = format!(
            "resources: [object.yaml]\nreplacements:\n- source: {{fieldPath: {}}}\n  targets:\n  - select: {{kind: .*}}\n    fieldPaths: [{}]\n    options: {{create: {create}, index: {index}, delimiter: {}}}\n",
            quoted(from),
            quoted(to),
            quoted(delimiter),
        );
        build_twice(&[
            ("kustomization.yaml", &kustomization),
            ("object.yaml", object),
        ]);
    }
});
