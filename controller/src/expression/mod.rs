//! CEL expressions that a spec holds: checked when the spec is read, bounded before they run.
//!
//! Whoever may write a Kustomization may write one, so a text is short and shallow, it names only what it is given,
//! and its work is reckoned from the size of the object before a step of it is done.

mod work;

use kube_cel::KubeCelExt;
use kube_cel::cel::common::ast::{Expr, LiteralValue, operators};
use kube_cel::cel::parser::{ParseErrors, Parser};
use kube_cel::cel::{Context, ExecutionError, Value as CelValue};
use serde_json::Value;

use work::{Scope, Size};

type Tree = kube_cel::cel::parser::Expression;

/// The longest text, in bytes.
const LONGEST: usize = 4096;

/// How deep brackets and conditions may lie in each other. The parser calls itself about a dozen times for each.
const DEEPEST: usize = 32;

/// How many operators a text may hold. The parser and what it makes of `a.a.a.a` call themselves once for each.
const MOST_OPERATORS: usize = 256;

/// Bytes of the parser's stack: several times what a text within these bounds needs.
const STACK: usize = 64 * 1024 * 1024;

/// The bytes that operators are made of.
const OPERATORS: &[u8] = b".!-+*/%<>=&|?:,";

/// An expression that is true or false of an object.
#[derive(Debug)]
pub struct Expression {
    place: String,
    tree: Tree,
}

/// Why a text is no expression. Nothing but another spec changes that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// It is too long.
    #[error("{place}: the expression has {length} bytes, and may have {LONGEST}")]
    TooLong {
        /// The field.
        place: String,
        /// Its length.
        length: usize,
    },
    /// Its brackets or conditions lie too deep in each other.
    #[error("{place}: the expression is nested deeper than {DEEPEST}")]
    TooDeep {
        /// The field.
        place: String,
    },
    /// It has too many operators.
    #[error("{place}: the expression has more than {MOST_OPERATORS} operators")]
    TooMany {
        /// The field.
        place: String,
    },
    /// It is not CEL.
    #[error("{place}, line {line}, column {column}: {message}")]
    Syntax {
        /// The field.
        place: String,
        /// Line, from 1.
        line: isize,
        /// Column, from 1.
        column: isize,
        /// What is wrong there.
        message: String,
    },
    /// It names a variable or a function that there is not.
    #[error("{place}: undeclared reference to '{name}'")]
    Undeclared {
        /// The field.
        place: String,
        /// The name.
        name: String,
    },
    /// It can be nothing but a text, a number, a list or a map.
    #[error("{place}: the expression must be true or false")]
    NotBoolean {
        /// The field.
        place: String,
    },
}

/// Why an expression says nothing of an object. The object's values are not in the text: they may be secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// It might do too much work with an object of this size.
    #[error("{place}: too much work for an object of this size")]
    TooMuchWork {
        /// The field.
        place: String,
    },
    /// It came to something else than true or false.
    #[error("{place}: the result is neither true nor false")]
    NotBoolean {
        /// The field.
        place: String,
    },
    /// It met something that it was not made for.
    #[error("{place}: {message}")]
    Failed {
        /// The field.
        place: String,
        /// What it met.
        message: String,
    },
}

/// Which variables an expression may name.
#[derive(Clone, Copy, Debug)]
pub enum Variables {
    /// The top-level fields of an object, whatever they are.
    Fields,
    /// These.
    Only(&'static [&'static str]),
}

impl Expression {
    /// Reads a text; `place` is the field of the spec that holds it.
    pub fn compile(place: &str, text: &str, variables: Variables) -> Result<Self, ExpressionError> {
        check_shape(place, text)?;
        let parsed = apart(|| Parser::new().parse(text));
        let tree = parsed.unwrap_or_else(|| Err(ParseErrors { errors: Vec::new() }));
        let tree = tree.map_err(|errors| syntax(place, &errors))?;
        if let Some(name) = work::undeclared(&tree, &mut Scope::new(variables)) {
            let place = place.to_owned();
            return Err(ExpressionError::Undeclared { place, name });
        }
        if never_boolean(&tree.expr) {
            let place = place.to_owned();
            return Err(ExpressionError::NotBoolean { place });
        }
        let place = place.to_owned();
        Ok(Self { place, tree })
    }

    /// Whether it is true with these variables.
    pub fn holds(&self, variables: &[(&str, &Value)]) -> Result<bool, EvaluationError> {
        let place = || self.place.clone();
        let size = variables.iter().map(|(_, value)| Size::of(value)).sum();
        if !work::is_bearable(&self.tree, size) {
            return Err(EvaluationError::TooMuchWork { place: place() });
        }
        let message = match apart(|| evaluate(&self.tree, variables)) {
            Some(Ok(Some(holds))) => return Ok(holds),
            Some(Ok(None)) => return Err(EvaluationError::NotBoolean { place: place() }),
            Some(Err(message)) => message,
            None => "the evaluation broke down".to_owned(),
        };
        let place = place();
        Err(EvaluationError::Failed { place, message })
    }

    /// Whether it is true of an object whose top-level fields are the variables.
    pub fn holds_for(&self, object: &Value) -> Result<bool, EvaluationError> {
        let fields = object.as_object().into_iter().flatten();
        let fields: Vec<(&str, &Value)> =
            fields.map(|(key, value)| (key.as_str(), value)).collect();
        self.holds(&fields)
    }
}

/// The parser and the evaluation call themselves for every operator, and have assertions of their own that odd texts
/// may trip: they get a thread and a stack of their own. None when they broke down.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        thread.spawn_scoped(scope, work).ok()?.join().ok()
    })
}

fn check_shape(place: &str, text: &str) -> Result<(), ExpressionError> {
    let place = || place.to_owned();
    if text.len() > LONGEST {
        let length = text.len();
        return Err(ExpressionError::TooLong {
            place: place(),
            length,
        });
    }
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    let among = |set: &[u8]| text.bytes().filter(|byte| set.contains(byte)).count();
    if deepest > DEEPEST || among(b"?") > DEEPEST {
        return Err(ExpressionError::TooDeep { place: place() });
    }
    if among(OPERATORS) > MOST_OPERATORS {
        return Err(ExpressionError::TooMany { place: place() });
    }
    Ok(())
}

fn syntax(place: &str, errors: &ParseErrors) -> ExpressionError {
    let first = errors.errors.first();
    let (line, column) = first.map_or((1, 1), |error| error.pos);
    let message = first.map_or("not a CEL expression", |error| error.msg.as_str());
    ExpressionError::Syntax {
        place: place.to_owned(),
        line,
        column,
        message: message.to_owned(),
    }
}

/// Only what can be told without knowing the types of an object's fields.
fn never_boolean(expr: &Expr) -> bool {
    const NUMBERS: [&str; 6] = [
        operators::ADD,
        operators::SUBSTRACT,
        operators::MULTIPLY,
        operators::DIVIDE,
        operators::MODULO,
        operators::NEGATE,
    ];
    match expr {
        Expr::Literal(literal) => !matches!(literal, LiteralValue::Boolean(_)),
        Expr::List(_) | Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => true,
        Expr::Call(call) => NUMBERS.contains(&call.func_name.as_str()),
        Expr::Comprehension(_) | Expr::Ident(_) | Expr::Select(_) => false,
    }
}

/// What a tree comes to; none when that is neither true nor false.
fn evaluate(tree: &Tree, variables: &[(&str, &Value)]) -> Result<Option<bool>, String> {
    let mut context = Context::default().with_all();
    for (name, value) in variables {
        context.add_variable_from_value(*name, cel(value));
    }
    match CelValue::resolve(tree, &context) {
        Ok(CelValue::Bool(holds)) => Ok(Some(holds)),
        Ok(_) => Ok(None),
        Err(error) => Err(explain(&error)),
    }
}

/// The crate's own texts print the values that did not fit.
fn explain(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(name) => format!("no such key: {name}"),
        ExecutionError::UndeclaredReference(name) => format!("undeclared reference to '{name}'"),
        ExecutionError::InvalidArgumentCount { expected, actual } => {
            format!("a function got {actual} arguments, and takes {expected}")
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "a number is too large".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "an index is out of bounds".to_owned(),
        ExecutionError::FunctionError { function, .. } => format!("the function {function} failed"),
        _ => "a value has a type that does not fit".to_owned(),
    }
}

/// Whole numbers are signed, as they are in what Kubernetes serves.
fn cel(value: &Value) -> CelValue {
    match value {
        Value::Null => CelValue::Null,
        Value::Bool(value) => CelValue::Bool(*value),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => CelValue::Int(whole),
            None => CelValue::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => CelValue::String(text.clone().into()),
        Value::Array(items) => CelValue::List(items.iter().map(cel).collect::<Vec<_>>().into()),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| (key.clone(), cel(value)));
            CelValue::from(fields.collect::<std::collections::HashMap<_, _>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PLACE: &str = "spec.healthCheckExprs[0].current";

    fn compile(text: &str) -> Result<Expression, ExpressionError> {
        Expression::compile(PLACE, text, Variables::Fields)
    }

    fn of_object(text: &str) -> Result<bool, EvaluationError> {
        let object = json!({
            "apiVersion": "example.org/v1",
            "kind": "Database",
            "metadata": {"name": "orders", "generation": 3, "labels": {"tier": "gold"}},
            "spec": {"replicas": 2, "size": "10Gi", "share": 0.5},
            "status": {
                "observedGeneration": 3,
                "conditions": [
                    {"type": "Ready", "status": "True"},
                    {"type": "Synced", "status": "False", "reason": "Waiting"},
                ],
            },
        });
        compile(text).expect(text).holds_for(&object)
    }

    #[test]
    fn what_people_write_is_understood() {
        for (text, expected) in [
            (
                "status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True')",
                true,
            ),
            (
                "status.conditions.exists(e, e.type == 'Synced' && e.status == 'True')",
                false,
            ),
            ("status.conditions.exists_one(e, e.type == 'Ready')", true),
            (
                "status.conditions.map(e, e.type) == ['Ready', 'Synced']",
                true,
            ),
            ("status.observedGeneration == metadata.generation", true),
            ("metadata.generation > 2 && metadata.generation < 3.5", true),
            ("has(status.failure)", false),
            ("!has(status.failure) || status.failure == ''", true),
            (
                "has(metadata.labels.tier) ? metadata.labels['tier'] == 'gold' : false",
                true,
            ),
            ("'tier' in metadata.labels", true),
            (
                "spec.size.endsWith('Gi') && size(status.conditions) == 2",
                true,
            ),
            ("spec.size.matches('^[0-9]+Gi$')", true),
            ("metadata.name.upperAscii() == 'ORDERS'", true),
            ("metadata.name.split('r')[0] == 'o'", true),
            ("sets.contains(['a', 'b'], ['b'])", true),
            ("base64.decode('Z29sZA==') == b'gold'", true),
            ("int(spec.replicas) == 2 && spec.share == 0.5", true),
            ("true", true),
        ] {
            assert_eq!(of_object(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn errors_name_the_place() {
        for (text, expected) in [
            (
                "status.",
                "spec.healthCheckExprs[0].current, line 1, column 8: ",
            ),
            (
                "a ==\n  (b",
                "spec.healthCheckExprs[0].current, line 2, column 5: ",
            ),
            ("", "spec.healthCheckExprs[0].current, line 1, column 1: "),
            (
                "frobnicate(status)",
                "spec.healthCheckExprs[0].current: undeclared reference to 'frobnicate'",
            ),
            (
                "'ready'",
                "spec.healthCheckExprs[0].current: the expression must be true or false",
            ),
            (
                "[1, 2]",
                "spec.healthCheckExprs[0].current: the expression must be true or false",
            ),
            (
                "1 + 1",
                "spec.healthCheckExprs[0].current: the expression must be true or false",
            ),
        ] {
            let error = compile(text).expect_err(text).to_string();
            assert!(error.starts_with(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn only_declared_variables_are_named() {
        let only = |text: &str| Expression::compile("p", text, Variables::Only(&["self", "dep"]));
        for text in ["self.a == dep.b", "dep.items.all(i, i.ok && self.x == i.y)"] {
            only(text).expect(text);
        }
        for (text, name) in [
            ("status.ready", "status"),
            ("dep.items.all(i, j.ok)", "j"),
            ("i.ok || dep.all(i, i)", "i"),
        ] {
            let (place, name) = ("p".to_owned(), name.to_owned());
            let error = only(text).expect_err(text);
            assert_eq!(error, ExpressionError::Undeclared { place, name });
        }
    }

    #[test]
    fn odd_texts_are_refused_and_end_nothing() {
        let long = format!("'{}' == ''", "a".repeat(LONGEST));
        assert!(matches!(
            compile(&long),
            Err(ExpressionError::TooLong { .. })
        ));
        for text in [
            "(".repeat(4000),
            "[".repeat(33),
            "a?".repeat(2000),
            format!("{}a{}", "f(".repeat(40), ")".repeat(40)),
        ] {
            assert!(
                matches!(compile(&text), Err(ExpressionError::TooDeep { .. })),
                "{text}"
            );
        }
        // Whatever becomes of these, the process goes on.
        let chains = OPERATORS.iter().flat_map(|byte| {
            let operator = char::from(*byte).to_string();
            let chain = |link: &str| link.repeat(MOST_OPERATORS) + "a";
            [
                chain(&operator),
                chain(&format!("a{operator}")),
                chain("a&&"),
            ]
        });
        let odd = [
            "\"",
            "\u{0}",
            "𝛼 == 'é'",
            "a.map(b)",
            "has(a)",
            "all(a, b)",
            "a.exists(1, 2)",
            "{1: 2}[1] == 2",
        ];
        let numbers = [
            "1 / 0 == 1",
            "9223372036854775807 + 1 == 0",
            "-9223372036854775808 / -1 == 0",
            "b'\\xff' == b''",
        ];
        let texts = odd
            .into_iter()
            .chain(numbers)
            .map(str::to_owned)
            .chain(chains);
        for text in texts.chain(["type(a) == int".to_owned()]) {
            if let Ok(expression) = compile(&text) {
                let _ = expression.holds_for(&json!({"a": [1]}));
            }
        }
    }

    #[test]
    fn gathering_is_bounded_as_every_round_copies_what_is_gathered() {
        let items = |count: usize| json!({ "items": vec![json!({ "name": "x" }); count] });
        let gather = compile("items.map(i, i.name).all(n, n == 'x')").expect("valid");
        assert_eq!(gather.holds_for(&items(1_000)), Ok(true));
        let place = PLACE.to_owned();
        let expected = Err(EvaluationError::TooMuchWork { place });
        assert_eq!(gather.holds_for(&items(10_000)), expected);
    }

    #[test]
    fn work_is_reckoned_before_it_is_done() {
        let many = json!({"items": vec![json!({"name": "x"}); 3000], "text": "a".repeat(3000)});
        let holds = |text: &str| compile(text).expect(text).holds_for(&many);
        assert_eq!(holds("items.all(i, i.name == 'x')"), Ok(true));
        for text in [
            "items.all(i, items.all(j, items.all(k, i == j || k == j)))",
            "size(text.replace('a', text).replace('a', text).replace('a', text)) > 0",
            "[1,2,3,4,5,6,7,8,9].map(a, items.map(b, items.map(c, text))) == []",
        ] {
            assert_eq!(
                holds(text),
                Err(EvaluationError::TooMuchWork {
                    place: PLACE.to_owned()
                }),
                "{text}"
            );
        }
    }

    #[test]
    fn failures_do_not_tell_values() {
        let secret = json!({"data": {"password": "hunter2"}});
        for (text, expected) in [
            ("data.user == 'x'", "no such key: user"),
            ("status.ready", "undeclared reference to 'status'"),
            ("data.password > 1", "a value has a type that does not fit"),
            ("int(data.password) == 1", "the function int failed"),
            (
                "data.password == 'x' || data.password",
                "a value has a type that does not fit",
            ),
        ] {
            let error = compile(text)
                .expect(text)
                .holds_for(&secret)
                .expect_err(text);
            assert_eq!(error.to_string(), format!("{PLACE}: {expected}"));
        }
        let error = compile("data.password")
            .expect("a field")
            .holds_for(&secret);
        assert_eq!(
            error,
            Err(EvaluationError::NotBoolean {
                place: PLACE.to_owned()
            })
        );
    }
}
