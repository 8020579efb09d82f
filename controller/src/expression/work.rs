//! What an expression names, and how much work it may be: reckoned from above, from the size of what it is given.

use std::iter::Sum;

use kube_cel::cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators,
};
use serde_json::Value;

use super::Variables;

/// The most steps that one evaluation may take: well under a second.
const MOST_STEPS: u64 = 2_000_000;

/// The most bytes that any value may grow to.
const MOST_BYTES: u64 = 32 * 1024 * 1024;

/// Steps that compiling a pattern counts for.
const PATTERN: u64 = 2_000;

/// How large the result of a function may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Growth {
    /// True, false or a number.
    Scalar,
    /// As [`Growth::Scalar`]; a pattern is compiled each time.
    Pattern,
    /// As [`Growth::Scalar`]; everything is compared with everything.
    Pairs,
    /// No larger than all arguments together.
    Sum,
    /// So many times the arguments.
    Times(u64),
    /// As [`Growth::Sum`], and every byte may become an entry.
    Pieces,
    /// Every byte of the one may become all bytes of the others.
    Product,
}

/// All functions, with the namespace that they are called by. What is not here may not be named.
const FUNCTIONS: &[(&str, Growth)] = &[
    ("size", Growth::Scalar),
    ("contains", Growth::Scalar),
    ("startsWith", Growth::Scalar),
    ("endsWith", Growth::Scalar),
    ("matches", Growth::Pattern),
    ("double", Growth::Scalar),
    ("int", Growth::Scalar),
    ("uint", Growth::Scalar),
    ("duration", Growth::Scalar),
    ("timestamp", Growth::Scalar),
    ("getFullYear", Growth::Scalar),
    ("getMonth", Growth::Scalar),
    ("getDayOfYear", Growth::Scalar),
    ("getDayOfMonth", Growth::Scalar),
    ("getDate", Growth::Scalar),
    ("getDayOfWeek", Growth::Scalar),
    ("getHours", Growth::Scalar),
    ("getMinutes", Growth::Scalar),
    ("getSeconds", Growth::Scalar),
    ("getMilliseconds", Growth::Scalar),
    ("indexOf", Growth::Scalar),
    ("lastIndexOf", Growth::Scalar),
    ("sets.contains", Growth::Pairs),
    ("sets.equivalent", Growth::Pairs),
    ("sets.intersects", Growth::Pairs),
    ("string", Growth::Times(2)),
    ("bytes", Growth::Sum),
    ("charAt", Growth::Sum),
    ("lowerAscii", Growth::Sum),
    ("upperAscii", Growth::Sum),
    ("substring", Growth::Sum),
    ("trim", Growth::Sum),
    ("reverse", Growth::Sum),
    ("base64.decode", Growth::Sum),
    ("base64.encode", Growth::Times(2)),
    ("strings.quote", Growth::Times(8)),
    ("split", Growth::Pieces),
    ("replace", Growth::Product),
    ("join", Growth::Product),
];

/// Operators that give back more than true, false or a number.
const WHOLE: [&str; 3] = [operators::ADD, operators::CONDITIONAL, operators::INDEX];

/// Namespaces of functions, which look like variables.
const NAMESPACES: [&str; 3] = ["strings", "sets", "base64"];

/// The variables that can be named at a place of an expression.
pub(super) struct Scope {
    given: Variables,
    bound: Vec<String>,
}

impl Scope {
    pub(super) fn new(given: Variables) -> Self {
        let bound = Vec::new();
        Self { given, bound }
    }

    fn knows(&self, name: &str) -> bool {
        let given = match self.given {
            Variables::Fields => true,
            Variables::Only(names) => names.contains(&name),
        };
        given || self.bound.iter().any(|bound| bound == name)
    }
}

/// The first variable or function that is named and not known.
pub(super) fn undeclared(tree: &IdedExpr, scope: &mut Scope) -> Option<String> {
    match &tree.expr {
        Expr::Ident(name) => (!scope.knows(name)).then(|| name.clone()),
        Expr::Call(call) if function(call).is_none() => Some(call.func_name.clone()),
        Expr::Struct(made) => Some(made.type_name.clone()),
        Expr::Comprehension(loops) => undeclared_in_loop(loops, scope),
        _ => parts(tree)
            .into_iter()
            .find_map(|part| undeclared(part, scope)),
    }
}

fn undeclared_in_loop(loops: &ComprehensionExpr, scope: &mut Scope) -> Option<String> {
    let outside = [&loops.iter_range, &loops.accu_init];
    if let Some(name) = outside.into_iter().find_map(|part| undeclared(part, scope)) {
        return Some(name);
    }
    let known = scope.bound.len();
    let variables = [
        Some(&loops.iter_var),
        loops.iter_var2.as_ref(),
        Some(&loops.accu_var),
    ];
    scope.bound.extend(variables.into_iter().flatten().cloned());
    let inside = [&loops.loop_cond, &loops.loop_step, &loops.result];
    let found = inside.into_iter().find_map(|part| undeclared(part, scope));
    scope.bound.truncate(known);
    found
}

/// How a call's result grows; none when there is no such function.
fn function(call: &CallExpr) -> Option<Growth> {
    let name = call.func_name.as_str();
    if call.target.is_none() && name.contains(['_', '@', '!']) {
        // Operators, which no text can name.
        return Some(if WHOLE.contains(&name) {
            Growth::Sum
        } else {
            Growth::Scalar
        });
    }
    let qualified = namespace(call).map(|space| format!("{space}.{name}"));
    let name = qualified.as_deref().unwrap_or(name);
    let found = FUNCTIONS.iter().find(|(function, _)| *function == name);
    found.map(|(_, growth)| *growth)
}

fn namespace(call: &CallExpr) -> Option<&str> {
    match &call.target.as_deref()?.expr {
        Expr::Ident(name) if NAMESPACES.contains(&name.as_str()) => Some(name),
        _ => None,
    }
}

/// The expressions that make up one; a namespace is none.
fn parts(tree: &IdedExpr) -> Vec<&IdedExpr> {
    match &tree.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Call(call) => {
            let target = call.target.as_deref().filter(|_| namespace(call).is_none());
            target.into_iter().chain(&call.args).collect()
        }
        Expr::Comprehension(loops) => vec![
            &loops.iter_range,
            &loops.accu_init,
            &loops.loop_cond,
            &loops.loop_step,
            &loops.result,
        ],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map
            .entries
            .iter()
            .flat_map(|entry| entry_parts(&entry.expr))
            .collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::Struct(made) => made
            .entries
            .iter()
            .flat_map(|entry| entry_parts(&entry.expr))
            .collect(),
    }
}

fn entry_parts(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
    }
}

/// How large a value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// Entries of the longest list or map in it, at most.
    entries: u64,
    /// Bytes of all that is in it; in a loop, the average of all rounds at most.
    bytes: u64,
    /// Bytes of all that is in it, at most, in a loop too.
    most: u64,
}

/// True, false or a number.
const SCALAR: Size = Size {
    entries: 0,
    bytes: 8,
    most: 8,
};

impl Size {
    fn text(bytes: u64) -> Self {
        Self {
            entries: 0,
            bytes,
            most: bytes,
        }
    }

    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => SCALAR,
            Value::String(text) => Self::text(count(text.len())),
            Value::Array(items) => {
                let inside: Self = items.iter().map(Self::of).sum();
                inside.in_list_of(items.len())
            }
            Value::Object(fields) => {
                let names: Self = fields
                    .keys()
                    .map(|name| Self::text(count(name.len())))
                    .sum();
                let inside = fields.values().map(Self::of).chain([names]).sum::<Self>();
                inside.in_list_of(fields.len())
            }
        }
    }

    fn in_list_of(self, entries: usize) -> Self {
        let entries = self.entries.max(count(entries));
        Self { entries, ..self }
    }

    fn times(self, factor: u64) -> Self {
        Self {
            entries: self.entries,
            bytes: self.bytes.saturating_mul(factor),
            most: self.most.saturating_mul(factor),
        }
    }

    /// One entry of a list of this size.
    fn entry(self) -> Self {
        let bytes = self.bytes / self.entries.max(1) + 1;
        Self { bytes, ..self }
    }
}

impl Sum for Size {
    /// Things beside each other: their bytes add up, the longest list stays the longest.
    fn sum<I: Iterator<Item = Self>>(sizes: I) -> Self {
        sizes.fold(Self::default(), |sum, size| Self {
            entries: sum.entries.max(size.entries),
            bytes: sum.bytes.saturating_add(size.bytes),
            most: sum.most.saturating_add(size.most),
        })
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// What an expression may cost, and come to.
struct Estimate {
    steps: u64,
    size: Size,
}

/// Whether an expression may be evaluated with variables of this size in all.
pub(super) fn is_bearable(tree: &IdedExpr, given: Size) -> bool {
    let mut reckoning = Reckoning {
        given,
        bound: Vec::new(),
        largest: 0,
    };
    let estimate = reckoning.estimate(tree);
    estimate.steps <= MOST_STEPS && reckoning.largest <= MOST_BYTES
}

/// A walk through an expression.
struct Reckoning<'a> {
    given: Size,
    /// Variables of loops, innermost last.
    bound: Vec<(&'a str, Size)>,
    largest: u64,
}

impl<'a> Reckoning<'a> {
    fn estimate(&mut self, tree: &'a IdedExpr) -> Estimate {
        let estimate = match &tree.expr {
            Expr::Ident(name) => Estimate {
                steps: 1,
                size: self.variable(name),
            },
            Expr::Literal(LiteralValue::String(text)) => Estimate {
                steps: 1,
                size: Size::text(count(text.inner().len())),
            },
            Expr::Literal(LiteralValue::Bytes(bytes)) => Estimate {
                steps: 1,
                size: Size::text(count(bytes.inner().len())),
            },
            Expr::Literal(_) | Expr::Unspecified => Estimate {
                steps: 1,
                size: SCALAR,
            },
            Expr::Comprehension(loops) => self.repeated(loops),
            Expr::Call(call) => self.called(tree, call),
            Expr::Select(_) | Expr::List(_) | Expr::Map(_) | Expr::Struct(_) => {
                let (steps, sizes) = self.parts(tree);
                let size = sizes.iter().copied().sum::<Size>().in_list_of(sizes.len());
                Estimate { steps, size }
            }
        };
        self.largest = self.largest.max(estimate.size.bytes);
        estimate
    }

    fn variable(&self, name: &str) -> Size {
        let bound = self.bound.iter().rev().find(|(bound, _)| *bound == name);
        bound.map_or(self.given, |(_, size)| *size)
    }

    fn parts(&mut self, tree: &'a IdedExpr) -> (u64, Vec<Size>) {
        let mut steps = 1_u64;
        let mut sizes = Vec::new();
        for part in parts(tree) {
            let estimate = self.estimate(part);
            steps = steps.saturating_add(estimate.steps);
            sizes.push(estimate.size);
        }
        (steps, sizes)
    }

    /// A list is walked, and what each round makes may be gathered.
    fn repeated(&mut self, loops: &'a ComprehensionExpr) -> Estimate {
        let range = self.estimate(&loops.iter_range);
        let rounds = range.size.entries.max(1);
        let known = self.bound.len();
        let variables = [Some(&loops.iter_var), loops.iter_var2.as_ref()];
        let entry = range.size.entry();
        self.bound.extend(
            variables
                .into_iter()
                .flatten()
                .map(|name| (name.as_str(), entry)),
        );
        self.bound.push((&loops.accu_var, Size::default()));
        let condition = self.estimate(&loops.loop_cond);
        let made = self.estimate(&loops.loop_step);
        self.bound.truncate(known);
        let round = condition.steps.saturating_add(made.steps).saturating_add(1);
        // What is gathered is copied in every round.
        let copies = if made.size.entries > 0 {
            rounds.saturating_mul(rounds) / 8
        } else {
            0
        };
        let steps = range
            .steps
            .saturating_add(rounds.saturating_mul(round))
            .saturating_add(copies);
        let entries = made.size.entries.max(rounds);
        Estimate {
            steps,
            size: Size {
                entries,
                ..made.size.times(rounds)
            },
        }
    }

    fn called(&mut self, tree: &'a IdedExpr, call: &CallExpr) -> Estimate {
        let (steps, sizes) = self.parts(tree);
        let sum: Size = sizes.iter().copied().sum();
        let product = sizes
            .iter()
            .map(|size| size.most.max(1))
            .fold(1, u64::saturating_mul);
        // Texts are compared and copied many bytes at a time.
        let walk = sum.bytes / 256;
        let (work, size) = match function(call).unwrap_or(Growth::Sum) {
            Growth::Scalar => (walk, SCALAR),
            Growth::Pattern => (walk.saturating_add(PATTERN), SCALAR),
            Growth::Pairs => (product / 256, SCALAR),
            Growth::Sum => (walk, sum),
            Growth::Times(factor) => (walk, sum.times(factor)),
            Growth::Pieces => (
                walk,
                Size {
                    entries: sum.most,
                    ..sum
                },
            ),
            Growth::Product => (
                product / 256,
                Size {
                    bytes: product,
                    most: product,
                    ..sum
                },
            ),
        };
        Estimate {
            steps: steps.saturating_add(work),
            size,
        }
    }
}
