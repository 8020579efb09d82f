//! The five formats of SOPS, and how a file says which of them it is.

use std::fmt;

use crate::store;

/// How a file is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// YAML, one document or several.
    Yaml,
    /// JSON, one object.
    Json,
    /// `KEY=value` lines.
    Dotenv,
    /// Sections of `key = value` lines.
    Ini,
    /// Anything else: the bytes as one value in a JSON object.
    Binary,
}

/// Name, endings of file names, and the bytes that only an encrypted file of this format holds.
struct Description {
    format: Format,
    name: &'static str,
    endings: &'static [&'static str],
    markers: &'static [&'static str],
}

const FORMATS: [Description; 5] = [
    Description {
        format: Format::Yaml,
        name: "yaml",
        endings: &[".yaml", ".yml"],
        // JSON is YAML too.
        markers: &[
            "mac: ENC[",
            "mac: \"ENC[",
            "mac: 'ENC[",
            "\"mac\": \"ENC[",
            "\"mac\":\"ENC[",
        ],
    },
    Description {
        format: Format::Json,
        name: "json",
        endings: &[".json"],
        markers: &["\"mac\": \"ENC[", "\"mac\":\"ENC["],
    },
    Description {
        format: Format::Dotenv,
        name: "dotenv",
        endings: &[".env"],
        markers: &["sops_mac=ENC["],
    },
    Description {
        format: Format::Ini,
        name: "ini",
        endings: &[".ini"],
        markers: &["[sops]"],
    },
    Description {
        format: Format::Binary,
        name: "binary",
        endings: &[],
        markers: &["\"mac\": \"ENC[", "\"mac\":\"ENC["],
    },
];

/// Endings that say "encrypted" and leave the format to the name before them.
const WRAPPERS: [&str; 3] = [".encrypted", ".enc", ".sops"];

impl Format {
    /// The format of that name (`yaml`, `json`, `dotenv`, `ini`, `binary`).
    pub fn named(name: &str) -> Option<Self> {
        FORMATS
            .iter()
            .find(|known| known.name == name)
            .map(|known| known.format)
    }

    /// The format by a file's name: its ending, or the one before `.encrypted`, `.enc` or `.sops`.
    pub fn of_name(name: &str) -> Option<Self> {
        let inner = WRAPPERS
            .iter()
            .find_map(|wrapper| name.strip_suffix(wrapper))
            .unwrap_or(name);
        FORMATS
            .iter()
            .find(|known| known.endings.iter().any(|ending| inner.ends_with(ending)))
            .map(|known| known.format)
    }

    /// The format of an encrypted file by its content.
    pub fn of_content(bytes: &[u8]) -> Option<Self> {
        const ORDER: [Format; 4] = [Format::Json, Format::Yaml, Format::Dotenv, Format::Ini];
        let found = ORDER
            .into_iter()
            .find(|&format| is_encrypted(bytes, format))?;
        match found == Self::Json && store::wraps_bytes(bytes) {
            true => Some(Self::Binary),
            false => Some(found),
        }
    }

    /// The format by name; where the name says nothing, by content; else binary, as the sops program has it.
    pub fn of(name: &str, bytes: &[u8]) -> Self {
        Self::of_name(name)
            .or_else(|| {
                let wrapped = WRAPPERS.iter().any(|wrapper| name.ends_with(wrapper));
                wrapped.then(|| Self::of_content(bytes)).flatten()
            })
            .unwrap_or(Self::Binary)
    }

    /// The name that `--format` takes.
    pub fn name(self) -> &'static str {
        FORMATS[self as usize].name
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// True when the bytes carry the mark of a file that SOPS encrypted in this format. It is a search, not a reading:
/// cheap enough for every file of a repository.
pub fn is_encrypted(bytes: &[u8], format: Format) -> bool {
    let markers = FORMATS[format as usize].markers;
    // A section called sops alone is not enough: plain INI files have one too.
    find(bytes, b"ENC[") && markers.iter().any(|marker| find(bytes, marker.as_bytes()))
}

fn find(bytes: &[u8], marker: &[u8]) -> bool {
    bytes.windows(marker.len()).any(|window| window == marker)
}
