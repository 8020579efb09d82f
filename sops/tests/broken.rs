//! Broken files: whatever happens to the bytes of a file, it opens or is refused with an error that shows none of it.

use sops::{Answers, Document, Format, Keyring, MacPolicy};

const KEY: &str = include_str!("vectors/key.txt");
const FILES: [(Format, &[u8]); 5] = [
    (Format::Yaml, include_bytes!("vectors/sealed.yaml")),
    (Format::Json, include_bytes!("vectors/sealed.json")),
    (Format::Dotenv, include_bytes!("vectors/sealed.env")),
    (Format::Ini, include_bytes!("vectors/sealed.ini")),
    (Format::Binary, include_bytes!("vectors/sealed.bin")),
];
/// Bytes that mean something to one of the formats.
const TELLING: &[u8] = b"\0\t\n\r \"#&'*,-:;=>?@[\\]`{|}!%~\xff\xe2";
const ROUNDS: usize = 100;

/// The same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

fn alter(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    let at = numbers.below(bytes.len());
    let telling = TELLING[numbers.below(TELLING.len())];
    match numbers.below(5) {
        0 => bytes[at] = telling,
        1 => bytes.insert(at, telling),
        2 => drop(bytes.remove(at)),
        3 => bytes.truncate(at.max(1)),
        _ => {
            let end = (at + numbers.below(80)).min(bytes.len());
            let piece = bytes[at..end].to_vec();
            bytes.splice(at..at, piece);
        }
    }
}

#[test]
fn nothing_panics_and_no_error_shows_a_value() {
    let mut keyring = Keyring::default();
    keyring.add(KEY).expect("the key");
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    for (format, sealed) in FILES {
        for _ in 0..ROUNDS {
            let mut bytes = sealed.to_vec();
            for _ in 0..=numbers.below(3) {
                alter(&mut bytes, &mut numbers);
            }
            let opened = Document::read(&bytes, format).and_then(|document| {
                let policy = MacPolicy::Warn;
                sops::decrypt(document, &keyring, &Answers::new(), policy)?.write(format)
            });
            if let Err(error) = opened {
                let text = format!("{error} {error:?}");
                assert!(!text.contains("admin") && !text.contains("ENC["), "{text}");
            }
        }
    }
}
