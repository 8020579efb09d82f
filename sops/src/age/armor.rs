//! The ASCII armor around an age file.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
const END: &str = "-----END AGE ENCRYPTED FILE-----";
const COLUMNS: usize = 64;

/// Reads an armored file: strictly, save for blanks around it and the line ends.
pub(crate) fn open(text: &str) -> Option<Vec<u8>> {
    let mut lines = text.trim().lines();
    (lines.next()? == BEGIN).then_some(())?;
    let mut base64 = String::new();
    let mut last_was_short = false;
    for line in lines.by_ref() {
        if line == END {
            return lines
                .next()
                .is_none()
                .then(|| STANDARD.decode(base64).ok())?;
        }
        let fits = !last_was_short && (1..=COLUMNS).contains(&line.len());
        fits.then_some(())?;
        last_was_short = line.len() < COLUMNS;
        base64.push_str(line);
    }
    None
}

/// Writes an armored file.
pub(crate) fn close(bytes: &[u8]) -> String {
    let base64 = STANDARD.encode(bytes);
    let mut text = format!("{BEGIN}\n");
    for line in base64.as_bytes().chunks(COLUMNS) {
        text.extend(line.iter().copied().map(char::from));
        text.push('\n');
    }
    text + END + "\n"
}
