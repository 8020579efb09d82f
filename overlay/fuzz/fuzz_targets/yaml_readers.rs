//! For any bytes, the fast reader gives what the slower one gives: the same nodes, places and problems.

#![no_main]

use libfuzzer_sys::fuzz_target;
use overlay::yaml::{Dialect, Limits, Node, Source, Value, read, read_by_events};

/// Node equality leaves places out.
fn same(left: &Node, right: &Node) -> bool {
    left.mark == right.mark
        && match (&left.value, &right.value) {
            (Value::Sequence(left), Value::Sequence(right)) => {
                left.len() == right.len() && left.iter().zip(right.iter()).all(|(a, b)| same(a, b))
            }
            (Value::Mapping(left), Value::Mapping(right)) => {
                left.len() == right.len()
                    && left
                        .iter()
                        .zip(right.iter())
                        .all(|(a, b)| a.0 == b.0 && same(a.1, b.1))
            }
            (left, right) => left == right,
        }
}

fuzz_target!(|bytes: &[u8]| {
    for dialect in [Dialect::Kustomize, Dialect::Kubernetes] {
        let source = Source {
            file: 1,
            dialect,
            limits: Limits::default(),
            ..Source::default()
        };
        match (read(bytes, &source), read_by_events(bytes, &source)) {
            (Ok(fast), Ok(slow)) => {
                assert_eq!(fast.len(), slow.len());
                assert!(
                    fast.iter().zip(&slow).all(|(a, b)| same(a, b)),
                    "{fast:?}\n{slow:?}"
                );
            }
            (fast, slow) => assert_eq!(fast.err(), slow.err()),
        }
    }
});
