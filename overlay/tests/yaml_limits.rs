//! Hostile files: what asks for too much ends at once, with its place; and what the typed problems say.

use std::time::{Duration, Instant};

use overlay::yaml::{Limits, Problem, ProblemKind, Source, read, read_source};

fn refuse(text: &str, limits: Limits) -> Problem {
    let source = Source {
        limits,
        ..Source::default()
    };
    read(text.as_bytes(), &source).expect_err("a problem")
}

fn check(text: &str, place: (u32, u32), message: &str) {
    let problem = refuse(text, Limits::default());
    let found = (problem.line, problem.column);
    assert_eq!(
        (found, problem.kind.to_string().as_str()),
        (place, message),
        "{:.200}",
        text
    );
}

#[test]
fn problems_name_place_and_text() {
    let table: &[(&str, (u32, u32), &str)] = &[
        (
            "a: 1\nb: 2\na: 3\n",
            (3, 1),
            "key `a` is already set in line 1",
        ),
        ("x:\n  data: {1: a}\n", (2, 10), "key `1` is not a string"),
        ("x:\n  true: a\n", (2, 3), "key `true` is not a string"),
        ("x:\n  ~: a\n", (2, 3), "key `~` is not a string"),
        (
            "x:\n  2020-01-01: a\n",
            (2, 3),
            "key `2020-01-01` is not a string",
        ),
        ("? [a]\n: b\n", (1, 3), "a list or mapping cannot be a key"),
        (
            "a: *b\n",
            (1, 4),
            "YAML: while parsing node, found unknown anchor",
        ),
        ("a: &b [*b]\n", (1, 8), "the alias names no finished anchor"),
        (
            "a: {<<: b}\n",
            (1, 9),
            "`<<` needs a mapping or a list of mappings",
        ),
        (
            "b: &b {}\na: {<<: *b, <<: *b}\n",
            (2, 13),
            "key `<<` is already set in line 2",
        ),
        ("a: !!int b\n", (1, 10), "`b` is no !!int"),
        (
            "a:\n- .inf\n",
            (2, 3),
            "`.inf` cannot be stored: JSON has no such number",
        ),
        (
            "a: 1\n--- b\nc: 1\n",
            (2, 1),
            "a document separator has text behind it: `--- b`",
        ),
        (
            "a: 1\n...\nb: 1\n",
            (3, 1),
            "text after the end of a document; begin the next one with `---`",
        ),
        (
            "a: 1\nb: \u{7}\n",
            (2, 0),
            "control characters are not allowed (U+0007)",
        ),
        (
            "a: \"\\x7f\"\n",
            (1, 4),
            "control characters are not allowed (U+007F)",
        ),
    ];
    for (text, place, message) in table {
        check(text, *place, message);
    }
}

#[test]
fn errors_carry_file_and_hint() {
    let source = Source {
        path: "apps/web.yaml",
        ..Source::default()
    };
    let error = read_source(b"data:\n  1: a\n", &source).expect_err("an error");
    let expected = "apps/web.yaml:2:3: key `1` is not a string (quote it: `\"1\"`)";
    assert_eq!(error.to_string(), expected);
    let error = read_source(b"a: \xff\n", &source).expect_err("an error");
    assert_eq!(
        error.to_string(),
        "apps/web.yaml:1: the file is not UTF-8 text"
    );
}

#[test]
fn budgets_are_kept_by_both_readers() {
    let limits = Limits {
        bytes: 60,
        nodes: 6,
        depth: 3,
        documents: 2,
        anchors: 3,
    };
    let over = |what, limit| ProblemKind::Budget { what, limit };
    let table = [
        ("a: 1\n".repeat(13), over("bytes", 60)),
        ("a: [1, 2, 3, 4, 5, 6]\n".to_owned(), over("nodes", 6)),
        ("a: &x [1, 2]\nb: *x\nc: 1\n".to_owned(), over("nodes", 6)),
        (
            "a:\n  b:\n    c:\n      d: 1\n".to_owned(),
            over("levels of nesting", 3),
        ),
        ("a: [[[1]]]\n".to_owned(), over("levels of nesting", 3)),
        (
            "a: &x [1]\nb: &y [*x]\nc: [*y]\n".to_owned(),
            over("levels of nesting", 3),
        ),
        (
            "a: 1\n---\nb: 1\n---\nc: 1\n".to_owned(),
            over("documents", 2),
        ),
        ("---\n".repeat(4), over("documents", 2)),
        ("[&a 1, &a 1, &a 1, &a 1]".to_owned(), over("anchors", 3)),
    ];
    for (text, expected) in table {
        assert_eq!(refuse(&text, limits).kind, expected, "{text}");
    }
}

#[test]
fn bombs_end_at_once() {
    let bomb = |levels: usize| {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..levels {
            let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        text
    };
    let chain = |link: &dyn Fn(usize) -> String| (0..20_000).map(link).collect::<String>();
    let texts = [
        bomb(40),
        "[".repeat(1_000_000),
        "{a: ".repeat(1_000_000),
        "- ".repeat(1_000_000),
        "? ".repeat(1_000_000),
        "&a ".repeat(1_000_000),
        "!a ".repeat(1_000_000),
        "a: [\n".repeat(1_000_000),
        chain(&|level| format!("a{}: &a{} [*a{}]\n", level + 1, level + 1, level))
            .replacen("*a0", "x", 1),
        chain(&|level| {
            format!(
                "a{}: &a{} {{<<: [*a{level}, *a{level}]}}\n",
                level + 1,
                level + 1
            )
        }),
    ];
    let start = Instant::now();
    for text in &texts {
        refuse(text, Limits::default());
    }
    // Far more than it takes; without the budgets it would not end at all.
    assert!(start.elapsed() < Duration::from_secs(30));
}
